"""Clients started before their function is known: they warm up, wait, and take over its environment and folder."""
import json
import unittest

from worker_double import PARKED, RESPONSE, Client

PYTHON = """
import os
def handler(event, context):
    return [os.environ.get("GIVEN"), os.environ.get("PATH"), os.environ.get("LAMBENT_PARKED"), os.getcwd(),
            os.popen("echo $GIVEN").read().strip(), context.function_name]
"""
NODE = """
exports.handler = async (event, context) => [process.env.GIVEN ?? null, process.env.PATH ?? null,
  process.env.LAMBENT_PARKED ?? null, process.cwd(),
  require('child_process').execSync('/bin/echo $GIVEN').toString().trim(), context.functionName];
"""


class Parked(unittest.TestCase):
    def test_load_replaces_environment_and_folder(self):
        for language, name, source in (("python", "fn.py", PYTHON), ("node", "fn.js", NODE)):
            with self.subTest(language):
                runtime = Client(language, "unknown.yet", {name: source}, {"LAMBENT_PARKED": "1", "GIVEN": "old"})
                self.assertEqual(runtime.receive(), (PARKED, {}, b""))
                runtime.load(
                    {
                        "_HANDLER": "fn.handler",
                        "LAMBDA_TASK_ROOT": runtime.root,
                        "GIVEN": "new",
                        "AWS_LAMBDA_FUNCTION_NAME": "late",
                    }
                )
                runtime.ready()
                kind, _, body = runtime.call()
                self.assertEqual(kind, RESPONSE)
                self.assertEqual(json.loads(body), ["new", None, None, runtime.root, "new", "late"])
                self.assertEqual(runtime.close()[0], 0)

    def test_log_format_is_that_of_the_function(self):
        for language, name, source in (
            ("python", "fn.py", "import logging\ndef handler(e, c):\n    logging.warning('w')\n"),
            ("node", "fn.js", "exports.handler = async () => console.warn('w');"),
        ):
            with self.subTest(language):
                runtime = Client(language, "", {name: source}, {"LAMBENT_PARKED": "1"})
                runtime.receive()
                variables = {"_HANDLER": "fn.handler", "LAMBDA_TASK_ROOT": runtime.root, "AWS_LAMBDA_LOG_FORMAT": "JSON"}
                runtime.load(variables)
                self.assertEqual(runtime.ready().call()[0], RESPONSE)
                entry = json.loads(runtime.close()[1])
                self.assertEqual((entry["message"], entry["requestId"]), ("w", "req-1"))

    def test_a_parked_client_leaves_when_the_worker_does(self):
        for language in ("python", "node"):
            with self.subTest(language):
                runtime = Client(language, "", {}, {"LAMBENT_PARKED": "1"})
                self.assertEqual(runtime.receive(), (PARKED, {}, b""))
                self.assertEqual(runtime.close(), (0, ""))

    def test_frames_sent_ahead_are_taken_one_at_a_time(self):
        for language, name, source in (
            ("python", "fn.py", "def handler(e, c):\n    return e\n"),
            ("node", "fn.js", "exports.handler = async (e) => e;"),
            ("node", "fn.js", "require('net'); exports.handler = async (e) => e;"),
            ("node-mjs", "fn.js", "exports.handler = (e) => new Promise((r) => setTimeout(r, 2, e));"),
        ):
            with self.subTest(language + " " + source):
                runtime = Client(language, "", {name: source}, {"LAMBENT_PARKED": "1"})
                self.assertEqual(runtime.receive(), (PARKED, {}, b""))
                runtime.load({"_HANDLER": "fn.handler", "LAMBDA_TASK_ROOT": runtime.root})
                for event in range(5):
                    runtime.send(event, id="req-%d" % event)
                runtime.ready()
                for event in range(5):
                    self.assertEqual(runtime.receive(), (RESPONSE, {"id": "req-%d" % event}, b"%d" % event))
                self.assertEqual(runtime.close()[0], 0)


if __name__ == "__main__":
    unittest.main()
