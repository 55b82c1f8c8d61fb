"""Many callers at once: everyone gets the answer to their own question, while code
changes and while other functions fail."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from platform_under_test import Answer, Case, client, package, python_package

CALLERS = 12
CALLS = 40


class Parallel(Case):
    def callers(self, work):
        """`work(number, client)` in every caller at once; raises what any of them raised."""
        clients = [client() for _ in range(CALLERS)]
        with ThreadPoolExecutor(CALLERS) as pool:
            return [f.result() for f in [pool.submit(work, n, aws) for n, aws in enumerate(clients)]]

    def test_every_caller_gets_the_answer_to_its_own_question(self):
        self.create("ask-python", "def handler(event, context):\n    return {'echo': event, 'id': context.aws_request_id}\n")
        node = "exports.handler = async (event, context) => ({echo: event, id: context.awsRequestId});"
        self.create("ask-node", package({"index.js": node}), "nodejs20.x", "index.handler")
        with open(os.environ["STATIC_BOOTSTRAP"], "rb") as file:
            self.create("ask-static", package({"bootstrap": file.read()}), "provided.al2023", "x")
        names = ("ask-python", "ask-node", "ask-static")

        def work(number, aws):
            requests = set()
            for call in range(CALLS):
                name = names[(number + call) % 3]
                question = f'{{"caller":{number},"call":{call}}}'
                answer = Answer(aws.invoke(FunctionName=name, Payload=question))
                self.assertIsNone(answer.function_error, answer)
                self.assertEqual(answer.payload["echo"], {"caller": number, "call": call}, answer)
                self.assertEqual(answer.payload.get("id", answer.request_id), answer.request_id)
                requests.add(answer.request_id)
            return requests

        self.assertEqual(len(set().union(*self.callers(work))), CALLERS * CALLS, "every call has an id of its own")

    def test_failing_neighbours_do_not_disturb_a_function(self):
        self.create("steady", "def handler(event, context):\n    return event['n']\n")
        self.create("crashing", "import os\ndef handler(event, context):\n    os._exit(1)\n")

        def work(number, aws):
            for call in range(10):
                if number % 4 == 0:
                    answer = Answer(aws.invoke(FunctionName="crashing", Payload=b"{}"))
                    self.assertEqual(answer.payload["errorType"], "Runtime.ExitError", answer)
                else:
                    answer = Answer(aws.invoke(FunctionName="steady", Payload=f'{{"n":{call}}}'))
                    self.assertEqual((answer.function_error, answer.payload), (None, call), answer)

        self.callers(work)

    def test_code_changes_under_load_without_one_failed_call(self):
        self.create("rolling", "def handler(event, context):\n    return 0\n")
        acknowledged, over = [0], threading.Event()

        def change():
            try:
                for version in range(1, 6):
                    code = python_package(f"def handler(event, context):\n    return {version}\n")
                    self.aws.update_function_code(FunctionName="rolling", ZipFile=code)
                    self.active("rolling")
                    acknowledged[0] = version
            finally:
                over.set()

        def work(number, aws):
            if number == 0:
                return change()
            seen = 0
            while not over.is_set():
                least = acknowledged[0]
                answer = Answer(aws.invoke(FunctionName="rolling", Payload=b"{}"))
                self.assertIsNone(answer.function_error, answer)
                self.assertGreaterEqual(answer.payload, least, "a call after the change runs the changed code")
                seen += 1
            return seen

        self.assertGreater(sum(self.callers(work)[1:]), CALLERS)
        self.assertEqual(self.ok("rolling"), 5)
