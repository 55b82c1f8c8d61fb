"""AWS's published runtime clients, unchanged, inside our environments: Python's
`awslambdaric` as it is installed here, and Rust's `lambda_runtime` as built by cargo.
Each answers 1,000 calls and fails as it should."""

import importlib.util
import os
import pathlib

from platform_under_test import Case, package

CALLS = 1000
# One caller that waits for its answers needs one, also where the answer overtakes `next`.
ENVIRONMENTS_MAX = 1
PYTHON_BOOTSTRAP = "#!/bin/sh\nexport PYTHONPATH=/var/task\nexec /usr/bin/python3 -m awslambdaric app.handler\n"
PYTHON_APP = """
import os, sys
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if 'fail' in event: raise LookupError(event['fail'])
    if 'exit' in event: sys.exit(event['exit'])
    return {'event': event, 'calls': calls, 'stream': os.environ['AWS_LAMBDA_LOG_STREAM_NAME'], 'request': context.aws_request_id, 'arn': context.invoked_function_arn}
"""


def published(*names):
    """Files of installed modules, with the paths they have in a package."""
    files = {}
    for name in names:
        origin = pathlib.Path(importlib.util.find_spec(name).origin)
        if origin.name != "__init__.py":
            files[origin.name] = origin.read_bytes()
            continue
        for path in origin.parent.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                files[str(path.relative_to(origin.parent.parent))] = path.read_bytes()
    return files


class RuntimeClients(Case):
    def a_thousand_calls(self, name):
        """One caller that waits for each answer; gives the calls of each environment.
        They are one: the answer may overtake `next`, the next call then waits for it."""
        requests, environments = set(), {}
        for n in range(CALLS):
            payload = {"n": n, "text": "ü" * (n % 50)}
            answer = self.ok(name, payload, LogType="None")
            self.assertEqual(answer["event"], payload)
            calls = environments[answer["stream"]] = environments.get(answer["stream"], 0) + 1
            self.assertEqual(answer["calls"], calls, "an environment counts on from call to call")
            requests.add(answer["request"])
        self.assertEqual(len(requests), CALLS)
        self.assertLessEqual(len(environments), ENVIRONMENTS_MAX, "one caller was served warm")
        return environments

    def test_awslambdaric_answers_1000_calls_and_fails_as_it_should(self):
        code = published("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
        code.update({"bootstrap": PYTHON_BOOTSTRAP, "app.py": PYTHON_APP})
        self.create("ric", package(code), "provided.al2023", "app.handler", MemorySize=1769)
        environments = self.a_thousand_calls("ric")
        answer = self.failed("ric", {"fail": "nowhere"})
        self.assertEqual((answer.payload["errorType"], answer.payload["errorMessage"]), ("LookupError", "nowhere"))
        self.assertEqual(answer.payload["requestId"], answer.request_id)
        self.assertIn("in handler", answer.payload["stackTrace"][-1])
        self.assertIn(self.ok("ric")["stream"], environments, "an error does not end the environment")
        exit_error = self.failed("ric", {"exit": 4}).payload
        self.assertEqual(exit_error["errorType"], "Runtime.ExitError")
        self.assertEqual(self.ok("ric")["event"], {}, "after an exit calls are served")

    def test_awslambdaric_reports_an_import_error_of_the_handler(self):
        code = published("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
        code.update({"bootstrap": PYTHON_BOOTSTRAP, "app.py": "import not_there\n"})
        self.create("ric-import", package(code), "provided.al2023", "app.handler")
        failure = self.failed("ric-import").payload
        self.assertEqual(failure["errorType"], "Runtime.ImportModuleError")
        self.assertIn("No module named 'not_there'", failure["errorMessage"])

    def test_lambda_runtime_answers_1000_calls_and_fails_as_it_should(self):
        with open(os.environ["RUST_FUNCTION"], "rb") as file:
            code = package({"bootstrap": file.read()})
        self.create("rust", code, "provided.al2023", "bootstrap", MemorySize=1769)
        environments = self.a_thousand_calls("rust")
        failure = self.failed("rust", {"fail": "asked to"}).payload
        self.assertEqual(failure["errorMessage"], "asked to")
        self.assertIn(self.ok("rust")["stream"], environments, "an error does not end the environment")
        panic = self.failed("rust", {"panic": True}).payload
        self.assertIn("asked to panic", panic["errorMessage"])
        self.assertEqual(self.ok("rust")["memory"], 1769)
