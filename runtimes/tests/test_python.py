"""The Python runtime client against a worker double: what AWS documents, case by case."""
import json
import re
import signal
import unittest

from worker_double import ARN, ERROR, INIT_ERROR, READY, RESPONSE, Client

LIMIT = 6291556


def client(source, handler="fn.handler", env=(), **files):
    return Client("python", handler, dict({"fn.py": source}, **files), env)


def returning(expression, prelude=""):
    return "%s\ndef handler(event, context):\n    return %s\n" % (prelude, expression)


class Responses(unittest.TestCase):
    CASES = [
        ("echo", returning("event"), {"a": [1, 2.5, None, True, "é"]}, '{"a": [1, 2.5, null, true, "é"]}'),
        ("none", returning("None"), 1, "null"),
        ("text is quoted", returning("'x\"'"), 1, '"x\\""'),
        ("bytes go out as they are", returning("b'\\x00raw'"), 1, "\x00raw"),
        ("decimal", returning("{'pi': Decimal('3.14159')}", "from decimal import Decimal"), 1, '{"pi": 3.14159}'),
        ("decimal nan", returning("Decimal('-nan')", "from decimal import Decimal"), 1, "NaN"),
        ("float nan and infinity", returning("[float('nan'), float('-inf')]"), 1, "[NaN, -Infinity]"),
        ("lone surrogate is escaped", returning("'\\ud800'"), 1, '"\\ud800"'),
        ("keys that are not text", returning("{1: 2, None: 3, True: 4}"), 1, '{"1": 4, "null": 3}'),
        ("spaces around the event", returning("event"), b' \n{"a": 1}\t ', '{"a": 1}'),
    ]

    def test_response_bodies(self):
        for name, source, event, expected in self.CASES:
            with self.subTest(name):
                runtime = client(source).ready()
                self.assertEqual(runtime.call(event), (RESPONSE, {"id": "req-1"}, expected.encode()))
                self.assertEqual(runtime.close(), (0, ""))

    def test_large_event_and_response_cross_whole(self):
        runtime = client(returning("event")).ready()
        text = "x" * (6 * 1024 * 1024 - 100)
        kind, _, body = runtime.call(text)
        self.assertEqual((kind, body), (RESPONSE, json.dumps(text).encode()))
        runtime.close()

    def test_response_limit_is_exact(self):
        runtime = client(returning("'x' * event")).ready()
        self.assertEqual(runtime.call(LIMIT - 2)[0], RESPONSE)
        kind, header, body = runtime.call(LIMIT - 1)
        self.assertEqual((kind, header["type"]), (ERROR, "Function.ResponseSizeTooLarge"))
        self.assertEqual(
            json.loads(body),
            {
                "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
                "errorType": "Function.ResponseSizeTooLarge",
            },
        )
        self.assertEqual(runtime.call(1)[0], RESPONSE)
        runtime.close()

    def test_state_survives_between_calls(self):
        runtime = client("n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n").ready()
        self.assertEqual([runtime.call()[2] for _ in range(3)], [b"1", b"2", b"3"])
        runtime.close()


class Handlers(unittest.TestCase):
    CASES = [
        ("module", "fn.handler", {"fn.py": returning("1")}, READY, None, None),
        ("folder with a slash", "pkg/fn.handler", {"pkg/fn.py": returning("1")}, READY, None, None),
        ("package with dots", "pkg.sub.fn.handler", {"pkg/sub/fn.py": returning("1")}, READY, None, None),
        ("a builtin's name in a folder", "pkg/sys.handler", {"pkg/sys.py": returning("1")}, READY, None, None),
        (
            "no such module",
            "nope.handler",
            {},
            INIT_ERROR,
            "Runtime.ImportModuleError",
            "Unable to import module 'nope': No module named 'nope'",
        ),
        (
            "module imports what is missing",
            "fn.handler",
            {"fn.py": "import absent_module\n"},
            INIT_ERROR,
            "Runtime.ImportModuleError",
            "Unable to import module 'fn': No module named 'absent_module'",
        ),
        (
            "no such function",
            "fn.other",
            {"fn.py": returning("1")},
            INIT_ERROR,
            "Runtime.HandlerNotFound",
            "Handler 'other' missing on module 'fn'",
        ),
        (
            "no dot",
            "fn",
            {"fn.py": returning("1")},
            INIT_ERROR,
            "Runtime.MalformedHandlerName",
            "Bad handler 'fn': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "syntax error",
            "fn.handler",
            {"fn.py": "x = 1\n\ndef = 3\n"},
            INIT_ERROR,
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'fn': invalid syntax (fn.py, line 3)",
        ),
        (
            "built-in module",
            "sys.exit",
            {},
            INIT_ERROR,
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module sys as a handler module",
        ),
        ("module raises", "fn.handler", {"fn.py": "raise KeyError('k')\n"}, INIT_ERROR, "KeyError", "'k'"),
    ]

    def test_loading(self):
        for name, handler, files, kind, error_type, message in self.CASES:
            with self.subTest(name):
                runtime = Client("python", handler, files)
                got_kind, header, body = runtime.receive()
                self.assertEqual(got_kind, kind)
                if kind == READY:
                    self.assertEqual(runtime.call()[2], b"1")
                    self.assertEqual(runtime.close()[0], 0)
                    continue
                fields = json.loads(body)
                self.assertEqual(list(fields), ["errorMessage", "errorType", "requestId", "stackTrace"])
                self.assertEqual((header["type"], fields["errorType"]), (error_type, error_type))
                self.assertEqual((fields["errorMessage"], fields["requestId"]), (message, ""))
                self.assertIsNone(runtime.receive())
                status, output = runtime.output()
                self.assertEqual(status, 1)
                self.assertIn("[ERROR] %s: %s\nTraceback (most recent call last):\n" % (error_type, message), output)

    def test_trace_of_a_failing_module_begins_in_it(self):
        runtime = client("\nraise ValueError('early')\n")
        _, _, body = runtime.receive()
        expected = '  File "%s/fn.py", line 2, in <module>\n    raise ValueError(\'early\')\n' % runtime.root
        self.assertEqual(json.loads(body)["stackTrace"], [expected])
        runtime.output()

    def test_trace_of_a_syntax_error_names_file_and_line(self):
        runtime = client("def = 3\n")
        _, _, body = runtime.receive()
        self.assertEqual(json.loads(body)["stackTrace"], ['  File "%s/fn.py" Line 1\n    def = 3\n' % runtime.root])
        runtime.output()

    def test_function_code_comes_first_on_the_path(self):
        source = "import sys, csv\ndef handler(e, c):\n    return [sys.path[0], csv.mine, sys.path]\n"
        runtime = client(source, **{"csv.py": "mine = True\n"}).ready()
        first, mine, path = json.loads(runtime.call()[2])
        self.assertEqual((first, mine), (runtime.root, True))
        self.assertLess(path.index("/opt/python"), path.index("/usr/lib/python3/dist-packages"))
        runtime.close()

    def test_a_path_of_the_users_own_brings_sitecustomize(self):
        files = {"fn.py": returning("sys.traced", "import sys"), "extra/sitecustomize.py": "import sys\nsys.traced = 7\n"}
        with Probe(files) as root:
            runtime = Client("python", "fn.handler", files, {"PYTHONPATH": root + "/extra"}).ready()
            self.assertEqual(runtime.call()[2], b"7")
            runtime.close()


class Probe:
    """Function files in a folder known before the client starts."""

    def __init__(self, files):
        self.files = files

    def __enter__(self):
        import os
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        for name, text in self.files.items():
            path = os.path.join(self.folder.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
        return self.folder.name

    def __exit__(self, *_):
        self.folder.cleanup()


class Errors(unittest.TestCase):
    CASES = [
        ("exception", "raise ValueError('bad')", b"1", "ValueError", "bad"),
        ("own class", "raise type('MyError', (Exception,), {})('mine')", b"1", "MyError", "mine"),
        ("base exception", "raise GeneratorExit('g')", b"1", "GeneratorExit", "g"),
        ("text of the error fails", "raise type('E', (Exception,), {'__str__': lambda s: 1/0})()", b"1", "E", None),
        (
            "not JSON",
            "return object",
            b"1",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type type is not JSON serializable",
        ),
        (
            "circular",
            "x = []; x.append(x); return x",
            b"1",
            "Runtime.MarshalError",
            "Unable to marshal response: Circular reference detected",
        ),
        (
            "event is not JSON",
            "return 1",
            b"not_json",
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "event with more behind it",
            "return 1",
            b"{} x",
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Extra data: line 1 column 4 (char 3)",
        ),
        ("coroutine", "return (lambda: (yield))()", b"1", "Runtime.MarshalError", None),
    ]

    def test_errors_and_then_an_answer(self):
        for name, line, event, error_type, message in self.CASES:
            with self.subTest(name):
                runtime = client("def handler(event, c):\n    if event == 'ok': return 2\n    %s\n" % line).ready()
                kind, header, body = runtime.call(event)
                fields = json.loads(body)
                self.assertEqual((kind, header), (ERROR, {"id": "req-1", "type": error_type}))
                self.assertEqual((fields["errorType"], fields["requestId"]), (error_type, "req-1"))
                if message is not None:
                    self.assertEqual(fields["errorMessage"], message)
                self.assertEqual(runtime.call("ok"), (RESPONSE, {"id": "req-1"}, b"2"))
                status, output = runtime.close()
                self.assertEqual(status, 0)
                self.assertIn("[ERROR] %s" % error_type, output)

    def test_stack_trace_has_user_frames_without_carets(self):
        runtime = client("def inner():\n    raise ValueError('bad')\n\ndef handler(e, c):\n    inner()\n").ready()
        fields = json.loads(runtime.call()[2])
        where = runtime.root + "/fn.py"
        self.assertEqual(
            fields["stackTrace"],
            [
                '  File "%s", line 5, in handler\n    inner()\n' % where,
                '  File "%s", line 2, in inner\n    raise ValueError(\'bad\')\n' % where,
            ],
        )
        _, output = runtime.close()
        self.assertEqual(
            output.replace("\u00a0", " "),
            "[ERROR] ValueError: bad\nTraceback (most recent call last):\n"
            '  File "%s", line 5, in handler\n    inner()\n'
            '  File "%s", line 2, in inner\n    raise ValueError(\'bad\')\n' % (where, where),
        )

    def test_exit_statuses(self):
        for line, status in (("sys.exit(7)", 7), ("exit()", 0), ("sys.exit('why')", 1), ("import os; os._exit(3)", 3)):
            with self.subTest(line):
                runtime = client("import sys\ndef handler(e, c):\n    %s\n" % line).ready()
                runtime.send(1)
                self.assertIsNone(runtime.receive())
                self.assertEqual(runtime.output()[0], status)

    def test_exit_while_loading(self):
        runtime = client("import sys\nprint('bye')\nsys.exit(4)\n")
        self.assertIsNone(runtime.receive())
        self.assertEqual(runtime.output(), (4, "bye\n"))

    def test_sigterm_ends_a_waiting_client(self):
        runtime = client(returning("1")).ready()
        runtime.process.send_signal(signal.SIGTERM)
        self.assertIsNone(runtime.receive())
        self.assertEqual(runtime.output()[0], -signal.SIGTERM)


class Context(unittest.TestCase):
    def test_members(self):
        names = (
            "function_name function_version invoked_function_arn memory_limit_in_mb aws_request_id log_group_name "
            "log_stream_name client_context tenant_id"
        ).split()
        runtime = client(returning("{n: getattr(context, n) for n in %r}" % names)).ready()
        self.assertEqual(
            json.loads(runtime.call(tenant="blue")[2]),
            {
                "function_name": "probe",
                "function_version": "$LATEST",
                "invoked_function_arn": ARN,
                "memory_limit_in_mb": "128",
                "aws_request_id": "req-1",
                "log_group_name": "/aws/lambda/probe",
                "log_stream_name": "2026/11/21/[$LATEST]0",
                "client_context": None,
                "tenant_id": "blue",
            },
        )
        runtime.close()

    def test_mobile_parts(self):
        source = returning(
            "[context.client_context.client.app_title, context.client_context.client.installation_id, "
            "context.client_context.custom, context.client_context.env, context.identity.cognito_identity_id, "
            "context.identity.cognito_identity_pool_id]"
        )
        runtime = client(source).ready()
        text = '{"client": {"app_title": "t"}, "custom": {"k": "v"}, "env": {"locale": "x"}}'
        cognito = '{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}'
        _, _, body = runtime.call(client_context=text, cognito=cognito)
        self.assertEqual(json.loads(body), ["t", None, {"k": "v"}, {"locale": "x"}, "id", "pool"])
        runtime.close()

    def test_context_that_is_not_json(self):
        for field, what in (("client_context", "Client Context"), ("cognito", "Cognito Identity")):
            runtime = client(returning("1")).ready()
            _, header, body = runtime.call(**{field: "oops"})
            self.assertEqual(header["type"], "Runtime.LambdaContextUnmarshalError")
            expected = "Unable to parse %s JSON: Expecting value: line 1 column 1 (char 0)" % what
            self.assertEqual(json.loads(body)["errorMessage"], expected)
            runtime.close()

    def test_remaining_time(self):
        runtime = client(returning("context.get_remaining_time_in_millis()")).ready()
        left = json.loads(runtime.call()[2])
        self.assertTrue(0 < left <= 30000, left)
        self.assertEqual(json.loads(runtime.call(deadline_ms=1)[2]), 0)
        runtime.close()

    def test_trace_follows_the_invocation(self):
        for prelude in ("import os", ""):
            runtime = client(
                "%s\ndef handler(e, c):\n    import os, subprocess\n"
                "    child = subprocess.run(['/usr/bin/printenv', '_X_AMZN_TRACE_ID'], capture_output=True, text=True)\n"
                "    return [os.environ.get('_X_AMZN_TRACE_ID'), child.stdout.strip()]\n" % prelude
            ).ready()
            self.assertEqual(json.loads(runtime.call(trace="Root=1-a")[2]), ["Root=1-a", "Root=1-a"])
            self.assertEqual(json.loads(runtime.call(trace="Root=1-b")[2]), ["Root=1-b", "Root=1-b"])
            self.assertEqual(json.loads(runtime.call()[2]), [None, ""])
            runtime.close()

    def test_channel_is_hidden_from_code_and_children(self):
        source = (
            "import os, subprocess\n"
            "def sockets(pid='self'):\n"
            "    found = []\n"
            "    for n in os.listdir('/proc/self/fd'):\n"
            "        try: found.append(os.readlink('/proc/self/fd/' + n))\n"
            "        except OSError: pass\n"
            "    return sum('socket' in f for f in found)\n"
            "def handler(e, c):\n"
            "    ran = subprocess.run(['ls', '-l', '/proc/self/fd'], close_fds=False, capture_output=True, text=True)\n"
            "    r, w = os.pipe()\n"
            "    if os.fork() == 0:\n"
            "        os.write(w, str(sockets()).encode()); os._exit(0)\n"
            "    os.wait()\n"
            "    return [os.environ.get('LAMBENT_CHANNEL_FD'), 'socket' in ran.stdout, os.read(r, 9).decode(), sockets()]\n"
        )
        runtime = client(source).ready()
        self.assertEqual(json.loads(runtime.call()[2]), [None, False, "0", 1])
        runtime.close()


class Logs(unittest.TestCase):
    STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

    def run_once(self, source, env=(), **header):
        runtime = client(source, env=env).ready()
        kind, _, body = runtime.call(**header)
        status, output = runtime.close()
        self.assertEqual((kind, status), (RESPONSE, 0), output)
        return output

    def test_root_logger_text(self):
        source = returning("log.info('hid') or log.warning('seen %d', 5)", "import logging\nlog = logging.getLogger('x')")
        self.assertRegex(self.run_once(source), r"^\[WARNING\]\t%s\treq-1\tseen 5\n$" % self.STAMP)

    def test_level_set_by_user_code(self):
        source = returning("log.info('on')", "import logging\nlog = logging.getLogger()\nlog.setLevel('INFO')")
        self.assertRegex(self.run_once(source), r"^\[INFO\]\t%s\treq-1\ton\n$" % self.STAMP)

    def test_basic_config_adds_no_second_handler(self):
        source = returning("logging.error('once')", "import logging\nlogging.basicConfig(level='DEBUG')")
        self.assertEqual(self.run_once(source).count("once"), 1)

    def test_json_format(self):
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
        source = returning("log.debug('no') or log.info('yes', extra={'k': {1}})", "import logging\nlog = logging.getLogger('x')")
        entry = json.loads(self.run_once(source, env, tenant="blue"))
        self.assertRegex(entry.pop("timestamp"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(
            entry,
            {"level": "INFO", "message": "yes", "logger": "x", "requestId": "req-1", "tenantId": "blue", "k": "{1}"},
        )

    def test_json_exception(self):
        source = (
            "import logging\ndef handler(e, c):\n    try:\n        1 / 0\n    except Exception:\n"
            "        logging.exception('caught')\n"
        )
        entry = json.loads(self.run_once(source, {"AWS_LAMBDA_LOG_FORMAT": "JSON"}))
        self.assertEqual((entry["errorType"], entry["errorMessage"]), ("ZeroDivisionError", "division by zero"))
        self.assertIn("line 4, in handler", entry["stackTrace"][0])

    def test_json_unhandled_error(self):
        runtime = client("def handler(e, c):\n    1 / 0\n", env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}).ready()
        runtime.call()
        entry = json.loads(runtime.close()[1])
        self.assertEqual((entry["level"], entry["errorType"], entry["requestId"]), ("ERROR", "ZeroDivisionError", "req-1"))

    def test_print_is_out_before_the_answer(self):
        runtime = client("import sys\ndef handler(e, c):\n    sys.stdout.write('no newline')\n").ready()
        runtime.call()
        self.assertEqual(runtime.process.stdout.read1(100), b"no newline")
        runtime.close()

    def test_threads_do_not_mix_log_lines(self):
        source = (
            "import logging, threading\ndef work(n):\n    for _ in range(100): logging.error('%s', str(n) * 50)\n"
            "def handler(e, c):\n    ts = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
            "    [t.start() for t in ts]; [t.join() for t in ts]\n"
        )
        lines = self.run_once(source).splitlines()
        self.assertEqual(len(lines), 400)
        for line in lines:
            self.assertTrue(re.match(r"^\[ERROR\]\t%s\treq-1\t(\d)\1{49}$" % self.STAMP, line), line)

    def test_logging_is_not_loaded_for_code_that_does_not_ask(self):
        runtime = client(returning("[n in sys.modules for n in ('logging', 'json', 're', 'traceback')]", "import sys")).ready()
        self.assertEqual(json.loads(runtime.call()[2]), [False] * 4)
        runtime.close()


if __name__ == "__main__":
    unittest.main()
