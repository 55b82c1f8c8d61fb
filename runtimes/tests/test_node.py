"""The Node runtime client against a worker double: what AWS documents, case by case."""
import json
import re
import signal
import subprocess
import unittest

from worker_double import (
    ARN,
    COMMANDS,
    ERROR,
    INIT_ERROR,
    READY,
    RESPONSE,
    STREAM_CHUNK,
    STREAM_END,
    STREAM_START,
    Client,
)

LIMIT = 6291556
MAJOR = int(subprocess.check_output([COMMANDS["node"][0], "-p", "process.versions.node.split('.')[0]"]))
BEFORE_24 = unittest.skipIf(MAJOR >= 24, "callbacks ended with Node 24")
HTTP_TYPE = "application/vnd.awslambda.http-integration-response"


def client(source, handler="fn.handler", env=(), name="fn.js", **files):
    return Client("node", handler, dict({name: source}, **files), env)


def handling(body, arguments="event, context"):
    return "exports.handler = async (%s) => { %s };" % (arguments, body)


class Responses(unittest.TestCase):
    CASES = [
        ("echo", handling("return event"), {"a": [1, 2.5, None, "é"]}, '{"a":[1,2.5,null,"é"]}'),
        ("undefined is null", handling(""), 1, "null"),
        ("a function is null", handling("return () => 1"), 1, "null"),
        ("thenable", "exports.handler = () => ({ then: (ok) => ok(5) });", 1, "5"),
        ("plain return", "exports.handler = (event) => event + 1;", 1, "2"),
        ("timer", handling("await new Promise((r) => setTimeout(r, 5)); return 3"), 1, "3"),
        ("promise that never settles", handling("await new Promise(() => {})"), 1, "null"),
    ]
    CALLBACK_CASES = [
        ("callback", "exports.handler = (e, c, done) => { done(null, 4); };", "4"),
        ("later callback", "exports.handler = (e, c, done) => { setTimeout(() => done(null, 4), 5); };", "4"),
        ("first callback counts", "exports.handler = (e, c, done) => { done(null, 4); done(null, 5); };", "4"),
        ("no answer at all", "exports.handler = (e, c, done) => {};", "null"),
        ("succeed", "exports.handler = (e, c) => { c.succeed(4); };", "4"),
        ("done", "exports.handler = (e, c) => { c.done(null, 4); };", "4"),
    ]

    def answers(self, source, event, expected):
        runtime = client(source).ready()
        for _ in range(3):
            self.assertEqual(runtime.call(event), (RESPONSE, {"id": "req-1"}, expected.encode()))
        self.assertEqual(runtime.close(), (0, ""))

    def test_response_bodies(self):
        for name, source, event, expected in self.CASES:
            with self.subTest(name):
                self.answers(source, event, expected)

    @BEFORE_24
    def test_callback_handlers(self):
        for name, source, expected in self.CALLBACK_CASES:
            with self.subTest(name):
                self.answers(source, 1, expected)

    @BEFORE_24
    def test_a_callback_waits_for_the_empty_loop_unless_told_not_to(self):
        source = (
            "let ran = 0; exports.handler = (e, c, done) => { const seen = { get ran() { return ran; } };"
            " c.callbackWaitsForEmptyEventLoop = e; setTimeout(() => { ran += 1; }, 30); done(null, seen); };"
        )
        runtime = client(source).ready()
        self.assertEqual(runtime.call(True)[2], b'{"ran":1}')
        runtime.close()
        runtime = client(source).ready()
        self.assertEqual(runtime.call(False)[2], b'{"ran":0}')
        runtime.close()

    def test_large_event_and_response_cross_whole(self):
        text = "x" * (6 * 1024 * 1024 - 100)
        for name, prelude in (("blocking", ""), ("event-driven", "require('net');")):
            with self.subTest(name):
                runtime = client(prelude + handling("return event")).ready()
                for _ in range(2):
                    kind, _, body = runtime.call(text)
                    self.assertEqual((kind, body == json.dumps(text).encode()), (RESPONSE, True))
                runtime.close()

    def test_response_limit_is_exact(self):
        runtime = client(handling("return 'x'.repeat(event)")).ready()
        self.assertEqual(runtime.call(LIMIT - 2)[0], RESPONSE)
        kind, header, body = runtime.call(LIMIT - 1)
        self.assertEqual((kind, header["type"]), (ERROR, "Function.ResponseSizeTooLarge"))
        self.assertEqual(
            json.loads(body)["errorMessage"],
            "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        )
        self.assertEqual(runtime.call(1)[0], RESPONSE)
        runtime.close()

    def test_what_is_left_running_goes_on_between_calls(self):
        source = "let n = 0; setInterval(() => { n += 1; }, 1); " + handling("return n")
        runtime = client(source).ready()
        first = json.loads(runtime.call()[2])
        for _ in range(2000):
            if json.loads(runtime.call()[2]) > first:
                break
        else:
            self.fail("the interval never ran")
        runtime.close()


class Handlers(unittest.TestCase):
    ESM = "export const handler = async () => 1;"
    CJS = "exports.handler = async () => 1;"
    CASES = [
        ("js", "fn.handler", {"fn.js": CJS}, None, None),
        ("cjs", "fn.handler", {"fn.cjs": CJS}, None, None),
        ("mjs", "fn.handler", {"fn.mjs": ESM}, None, None),
        ("top-level await", "fn.handler", {"fn.mjs": "await new Promise((r) => setTimeout(r, 5));" + ESM}, None, None),
        ("type module", "fn.handler", {"fn.js": ESM, "package.json": '{"type":"module"}'}, None, None),
        ("type module above", "d/fn.handler", {"d/fn.js": ESM, "package.json": '{"type":"module"}'}, None, None),
        ("nearest package", "d/fn.handler", {"d/fn.js": CJS, "d/package.json": "{}", "package.json": '{"type":"module"}'}, None, None),
        ("folder", "a/b/fn.handler", {"a/b/fn.js": CJS}, None, None),
        ("nested export", "fn.api.v1.handler", {"fn.js": "exports.api = { v1: { handler: async () => 1 } };"}, None, None),
        ("default export holds it", "fn.handler", {"fn.mjs": "export default { handler: async () => 1 };"}, None, None),
        ("no such file", "nope.handler", {}, "Runtime.ImportModuleError", "Error: Cannot find module 'nope'"),
        (
            "missing dependency",
            "fn.handler",
            {"fn.js": "require('absent');"},
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'absent'",
        ),
        (
            "missing dependency of an ES module",
            "fn.handler",
            {"fn.mjs": "import 'absent';"},
            "Runtime.ImportModuleError",
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'absent'",
        ),
        ("no export", "fn.other", {"fn.js": CJS}, "Runtime.HandlerNotFound", "fn.other is undefined or not exported"),
        ("no ES export", "fn.other", {"fn.mjs": ESM}, "Runtime.HandlerNotFound", "fn.other is undefined or not exported"),
        ("not a function", "fn.n", {"fn.js": "exports.n = 5;"}, "Runtime.HandlerNotFound", "fn.n is not a function"),
        ("no dot", "fn", {"fn.js": CJS}, "Runtime.MalformedHandlerName", "Bad handler"),
        ("upwards", "../fn.handler", {"fn.js": CJS}, "Runtime.MalformedHandlerName", "'../fn.handler' is not a valid"),
        ("syntax", "fn.handler", {"fn.js": "const = 1;"}, "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("ES syntax", "fn.handler", {"fn.mjs": "const = 1;"}, "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("module throws", "fn.handler", {"fn.js": "throw new TypeError('early');"}, "TypeError", "early"),
        ("ES module throws", "fn.handler", {"fn.mjs": "throw new TypeError('early');"}, "TypeError", "early"),
        ("rejection while loading", "fn.handler", {"fn.mjs": "await Promise.reject(new TypeError('r'));"}, "TypeError", "r"),
    ]

    def test_loading(self):
        for name, handler, files, error_type, message in self.CASES:
            with self.subTest(name):
                runtime = Client("node", handler, files)
                kind, header, body = runtime.receive()
                if error_type is None:
                    self.assertEqual((kind, body), (READY, b""))
                    self.assertEqual(runtime.call()[2], b"1")
                    self.assertEqual(runtime.close()[0], 0)
                    continue
                fields = json.loads(body)
                self.assertEqual((kind, list(fields)), (INIT_ERROR, ["errorType", "errorMessage", "trace"]))
                self.assertEqual((header["type"], fields["errorType"]), (error_type, error_type))
                self.assertTrue(fields["errorMessage"].startswith(message), fields["errorMessage"])
                self.assertIsNone(runtime.receive())
                status, output = runtime.output()
                self.assertEqual(status, 1)
                self.assertIn("\tERROR\tInit Error \t{", output)

    def test_the_documented_entry_does_the_same(self):
        runtime = Client("node-mjs", "fn.handler", {"fn.js": handling("console.log('x'); return event")}).ready()
        self.assertEqual([runtime.call(n)[2] for n in (1, 2)], [b"1", b"2"])
        self.assertEqual(runtime.close()[0], 0)


class Errors(unittest.TestCase):
    CASES = [
        ("rejection", "throw new TypeError('bad')", "TypeError", "bad"),
        ("named", "const x = new Error('m'); x.name = 'Mine'; throw x", "Mine", "m"),
        ("not an error", "throw 'text'", "string", "text"),
        ("null", "throw null", "object", "null"),
        ("DEL is escaped", "throw new Error('a\\x7fb')", "Error", "a%7Fb"),
        ("circular", "const x = {}; x.x = x; return x", "Runtime.MarshalError", None),
        ("bigint", "return 1n", "Runtime.MarshalError", "Unable to stringify response body: Do not know how to serialize a BigInt"),
    ]

    def test_errors_and_then_an_answer(self):
        for name, line, error_type, message in self.CASES:
            with self.subTest(name):
                runtime = client(handling("if (event === 'ok') return 2; " + line)).ready()
                kind, header, body = runtime.call(1)
                fields = json.loads(body)
                self.assertEqual((kind, header), (ERROR, {"id": "req-1", "type": error_type}))
                self.assertEqual(fields["errorType"], error_type)
                if message is not None:
                    self.assertEqual(fields["errorMessage"], message)
                self.assertEqual(runtime.call("ok"), (RESPONSE, {"id": "req-1"}, b"2"))
                status, output = runtime.close()
                self.assertEqual(status, 0)
                self.assertIn("\treq-1\tERROR\tInvoke Error \t{", output)

    def test_trace_begins_with_the_error_and_user_code(self):
        runtime = client("exports.handler = async () => {\n  throw new TypeError('bad');\n};").ready()
        trace = json.loads(runtime.call()[2])["trace"]
        self.assertEqual(trace[:2], ["TypeError: bad", "    at exports.handler (%s/fn.js:2:9)" % runtime.root])
        _, output = runtime.close()
        logged = json.loads(output.split("Invoke Error \t")[1])
        self.assertEqual((logged["errorType"], logged["errorMessage"], logged["stack"][:1]), ("TypeError", "bad", trace[:1]))

    @BEFORE_24
    def test_callback_errors(self):
        for line in ("done(new TypeError('bad'))", "c.fail(new TypeError('bad'))", "throw new TypeError('bad')"):
            with self.subTest(line):
                runtime = client("exports.handler = (e, c, done) => { %s; };" % line).ready()
                kind, header, body = runtime.call()
                self.assertEqual((kind, header["type"], json.loads(body)["errorMessage"]), (ERROR, "TypeError", "bad"))
                self.assertEqual(runtime.close()[0], 0)

    def test_what_nobody_catches_answers_and_ends_the_process(self):
        wait = "await new Promise((r) => setTimeout(r, 10000));"
        cases = [
            ("Promise.reject(new Error('lost')); " + wait, "Runtime.UnhandledPromiseRejection", "Error: lost", 128, "Unhandled Promise Rejection"),
            ("setTimeout(() => { throw new TypeError('late'); }, 1); " + wait, "TypeError", "late", 129, "Uncaught Exception"),
        ]
        for line, error_type, message, status, label in cases:
            with self.subTest(label):
                runtime = client(handling(line)).ready()
                kind, header, body = runtime.call()
                fields = json.loads(body)
                self.assertEqual((kind, header), (ERROR, {"id": "req-1", "type": error_type, "last": True}))
                self.assertEqual((fields["errorType"], fields["errorMessage"]), (error_type, message))
                if status == 128:
                    self.assertEqual(fields["reason"]["errorMessage"], "lost")
                self.assertIsNone(runtime.receive())
                got, output = runtime.output()
                self.assertEqual(got, status)
                self.assertIn("\treq-1\tERROR\t%s \t{" % label, output)

    def test_event_and_context_that_are_not_json(self):
        runtime = client(handling("return 1")).ready()
        self.assertEqual(runtime.call(b"oops")[1]["type"], "SyntaxError")
        self.assertEqual(runtime.call(client_context="{oops}")[1]["type"], "Runtime.LambdaContextUnmarshalError")
        self.assertEqual(runtime.call()[2], b"1")
        runtime.close()

    def test_exit_statuses(self):
        for line, status in (("process.exit(7)", 7), ("process.exitCode = 3; process.exit()", 3)):
            runtime = client(handling(line)).ready()
            runtime.send(1)
            self.assertIsNone(runtime.receive())
            self.assertEqual(runtime.output()[0], status)

    def test_sigterm_ends_a_waiting_client_and_reaches_a_handler_of_the_users(self):
        runtime = client(handling("return 1")).ready()
        runtime.process.send_signal(signal.SIGTERM)
        self.assertEqual(runtime.output()[0], -signal.SIGTERM)
        source = "process.on('SIGTERM', () => { console.log('saved'); process.exit(0); });" + handling("return 1")
        runtime = client(source).ready()
        runtime.call()
        runtime.process.send_signal(signal.SIGTERM)
        self.assertIsNone(runtime.receive())
        status, output = runtime.output()
        self.assertEqual((status, output.split("\t")[-1]), (0, "saved\n"))


class Context(unittest.TestCase):
    def test_members(self):
        body = (
            "const { callbackWaitsForEmptyEventLoop, ...rest } = context;"
            "return { ...rest, left: context.getRemainingTimeInMillis(), trace: process.env._X_AMZN_TRACE_ID ?? 'none' }"
        )
        runtime = client(handling(body)).ready()
        _, _, answer = runtime.call(tenant="blue", client_context='{"custom":{"k":"v"}}', cognito='{"cognitoIdentityId":"i"}', trace="Root=1-a")
        fields = json.loads(answer)
        self.assertTrue(0 < fields.pop("left") <= 30000)
        self.assertEqual(
            fields,
            {
                "functionName": "probe",
                "functionVersion": "$LATEST",
                "memoryLimitInMB": "128",
                "logGroupName": "/aws/lambda/probe",
                "logStreamName": "2026/11/21/[$LATEST]0",
                "clientContext": {"custom": {"k": "v"}},
                "identity": {"cognitoIdentityId": "i"},
                "invokedFunctionArn": ARN,
                "awsRequestId": "req-1",
                "tenantId": "blue",
                "trace": "Root=1-a",
            },
        )
        self.assertEqual(json.loads(runtime.call()[2])["trace"], "none")
        runtime.close()

    def test_channel_is_hidden_from_code_and_children(self):
        source = handling(
            "const links = require('child_process').execFileSync('/bin/ls', ['-l', '/proc/self/fd']).toString();"
            "return [process.env.LAMBENT_CHANNEL_FD ?? null, links.split('\\n').filter((l) => /\\b([3-9]|\\d\\d) -> socket/.test(l))]"
        )
        runtime = client(source).ready()
        self.assertEqual(json.loads(runtime.call()[2]), [None, []])
        runtime.close()


class Logs(unittest.TestCase):
    STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    TEXT = [
        ("console.log('a %s', 'b')", "INFO", "a b"),
        ("console.info('x', { k: 1 })", "INFO", "x { k: 1 }"),
        ("console.warn('x')", "WARN", "x"),
        ("console.error('x')", "ERROR", "x"),
        ("console.debug('x')", "DEBUG", "x"),
        ("console.trace('x')", "TRACE", "x"),
    ]
    JSON = [
        ("console.log('a %s', 'b')", {"level": "INFO", "message": "a b"}),
        ("console.warn({ k: 1 })", {"level": "WARN", "message": {"k": 1}}),
        ("const x = {}; x.self = x; console.error(x)", {"level": "ERROR", "message": "<ref *1> { self: [Circular *1] }"}),
    ]

    def printed(self, line, env=(), **header):
        runtime = client(handling(line), env=env).ready()
        self.assertEqual(runtime.call(**header)[0], RESPONSE)
        status, output = runtime.close()
        self.assertEqual(status, 0)
        return output

    def test_text(self):
        for line, level, message in self.TEXT:
            with self.subTest(line):
                self.assertRegex(self.printed(line), r"^%s\treq-1\t%s\t%s\n$" % (self.STAMP, level, re.escape(message)))

    def test_json(self):
        for line, expected in self.JSON:
            with self.subTest(line):
                entry = json.loads(self.printed(line, {"AWS_LAMBDA_LOG_FORMAT": "JSON"}, tenant="blue"))
                self.assertRegex(entry.pop("timestamp"), "^%s$" % self.STAMP)
                self.assertEqual(entry, dict(expected, requestId="req-1", tenantId="blue"))

    def test_json_error(self):
        env = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
        alone = json.loads(self.printed("console.error(new TypeError('bad'))", env))["message"]
        beside = json.loads(self.printed("console.error('at', new TypeError('bad'))", env))
        for fields in (alone, beside):
            self.assertEqual((fields["errorType"], fields["errorMessage"], fields["stackTrace"][0]), ("TypeError", "bad", "TypeError: bad"))

    def test_json_level_filters_and_text_does_not(self):
        line = "console.debug(1); console.log(2); console.warn(3)"
        env = {"AWS_LAMBDA_LOG_LEVEL": "WARN"}
        self.assertEqual(len(self.printed(line, env).splitlines()), 3)
        self.assertEqual(len(self.printed(line, dict(env, AWS_LAMBDA_LOG_FORMAT="JSON")).splitlines()), 1)


class Streaming(unittest.TestCase):
    FILES = {
        "fn.js": """
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const streamed = awslambda.streamifyResponse;
exports.plain = streamed(async (event, stream) => {
  stream.setContentType('text/plain');
  stream.write('one');
  stream.end('two');
});
exports.http = streamed(async (event, stream) => {
  const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201, cookies: ['a=b'] });
  http.write('body');
  http.end();
});
exports.big = streamed(async (event, stream) => {
  await pipeline(Readable.from((function* () { for (let i = 0; i < event; i++) yield Buffer.alloc(65536, i); })()), stream);
});
exports.huge = streamed(async (event, stream) => { stream.end(Buffer.alloc(event, 7)); });
exports.early = streamed(async () => { throw new TypeError('early'); });
exports.mid = streamed(async (event, stream) => {
  stream.write(Buffer.alloc(4 << 20, 1));
  await new Promise((r) => setTimeout(r, 5));
  throw new TypeError('mid');
});
exports.crash = streamed(async (event, stream) => {
  stream.write(Buffer.alloc(4 << 20, 1));
  setTimeout(() => { throw new TypeError('crash'); }, 5);
  await new Promise(() => {});
});
exports.open = streamed(async (event, stream) => { stream.write('left'); });
exports.silent = streamed(async (event, stream) => { stream.end(); });
"""
    }

    def streamed(self, name, event=1, stream=True):
        runtime = Client("node", "fn." + name, self.FILES).ready()
        results = []
        for _ in range(2):
            runtime.send(event, stream=stream)
            frames = []
            while not frames or frames[-1] is not None and frames[-1][0] not in (RESPONSE, ERROR, STREAM_END):
                frames.append(runtime.receive())
            results.append(frames)
            if frames[-1] is None or name == "crash":
                break
        return runtime, results

    def bodies(self, frames):
        return b"".join(body for kind, _, body in frames if kind == STREAM_CHUNK)

    def test_streams(self):
        prelude = b'{"statusCode":201,"cookies":["a=b"]}' + bytes(8) + b"body"
        for name, content_type, body in (
            ("plain", "text/plain", b"onetwo"),
            ("http", HTTP_TYPE, prelude),
            ("open", "application/octet-stream", b"left"),
            ("silent", "application/octet-stream", b""),
        ):
            with self.subTest(name):
                runtime, results = self.streamed(name)
                for frames in results:
                    self.assertEqual(frames[0], (STREAM_START, {"id": "req-1", "content_type": content_type}, b""))
                    self.assertEqual(self.bodies(frames), body)
                    self.assertEqual(frames[-1], (STREAM_END, {"id": "req-1"}, b""))
                self.assertEqual(runtime.close(), (0, ""))

    def test_the_same_for_a_caller_who_waits_for_one_answer(self):
        runtime, results = self.streamed("plain", stream=False)
        for frames in results:
            self.assertEqual(frames, [(RESPONSE, {"id": "req-1", "content_type": "text/plain"}, b"onetwo")])
        runtime.close()

    def test_large_streams_cross_whole_in_small_frames(self):
        runtime, results = self.streamed("big", 320)
        for frames in results:
            self.assertEqual(self.bodies(frames), b"".join(bytes([i % 256]) * 65536 for i in range(320)))
        runtime.close()
        runtime, results = self.streamed("huge", 3000000)
        self.assertEqual(self.bodies(results[0]), bytes([7]) * 3000000)
        self.assertTrue(all(len(body) <= 262144 for _, _, body in results[0]))
        runtime.close()

    def test_buffered_stream_above_the_limit(self):
        runtime, results = self.streamed("big", 120, stream=False)
        self.assertEqual(results[0][-1][1]["type"], "Function.ResponseSizeTooLarge")
        runtime.close()

    def test_error_before_the_first_byte(self):
        runtime, results = self.streamed("early")
        for frames in results:
            self.assertEqual([(kind, header) for kind, header, _ in frames], [(ERROR, {"id": "req-1", "type": "TypeError"})])
        self.assertEqual(runtime.close()[0], 0)

    def test_error_in_the_middle_follows_whole_frames(self):
        runtime, results = self.streamed("mid")
        for frames in results:
            kind, header, body = frames[-1]
            self.assertEqual((kind, header), (STREAM_END, {"id": "req-1", "error_type": "TypeError"}))
            self.assertEqual(json.loads(body)["errorMessage"], "mid")
        self.assertEqual(runtime.close()[0], 0)

    def test_crash_in_the_middle_is_told_before_the_end(self):
        runtime, results = self.streamed("crash")
        kind, header, body = results[0][-1]
        self.assertEqual((kind, header["error_type"], header["last"]), (STREAM_END, "TypeError", True))
        self.assertEqual(json.loads(body)["errorMessage"], "crash")
        self.assertIsNone(runtime.receive())
        self.assertEqual(runtime.output()[0], 129)


if __name__ == "__main__":
    unittest.main()
