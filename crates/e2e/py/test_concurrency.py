"""Reserved concurrency under really concurrent calls, and clients that hang up."""

import http.client
import json
import os
import subprocess
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from platform_under_test import REGION, Answer, Case, client, until

SLOW = """
import time
def handler(event, context):
    time.sleep(event.get('seconds', 0))
    return 'done'
"""
RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Concurrency(Case):
    def burst(self, name, count, seconds):
        """Answers and refusals of `count` calls that start together."""
        together = threading.Barrier(count)
        clients = [client() for _ in range(count)]

        def call(aws):
            together.wait()
            try:
                return Answer(aws.invoke(FunctionName=name, Payload=json.dumps({"seconds": seconds})))
            except aws.exceptions.TooManyRequestsException as refusal:
                return refusal.response

        with ThreadPoolExecutor(count) as pool:
            results = list(pool.map(call, clients))
        return [r for r in results if isinstance(r, Answer)], [r for r in results if isinstance(r, dict)]

    def test_a6_6_reserved_zero_refuses_every_call_and_touches_no_environment(self):
        self.create("off", "def handler(event, context):\n    return 1\n")
        self.aws.put_function_concurrency(FunctionName="off", ReservedConcurrentExecutions=0)
        for _ in range(5):
            response = self.refused(429, "TooManyRequestsException", self.aws.invoke, FunctionName="off")
            self.assertEqual(response["Reason"], RESERVED)
            self.assertEqual(response["Error"]["Message"], "Rate Exceeded.")
            self.assertIn("retry-after", response["ResponseMetadata"]["HTTPHeaders"])
        self.aws.delete_function_concurrency(FunctionName="off")
        first = self.invoke("off")
        self.assertIn("Init Duration", first.log, "the first call that is let in starts the first environment")

    def test_a6_6_reserving_must_leave_100_unreserved(self):
        self.create("greedy", SLOW)
        limits = self.aws.get_account_settings()["AccountLimit"]
        total, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
        most = free - 100
        answer = self.aws.put_function_concurrency(FunctionName="greedy", ReservedConcurrentExecutions=most)
        self.assertEqual(answer["ReservedConcurrentExecutions"], most)
        self.assertEqual(self.aws.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"], 100)
        self.assertEqual(self.aws.get_function(FunctionName="greedy")["Concurrency"], {"ReservedConcurrentExecutions": most})
        self.refused(400, "InvalidParameterValueException", self.aws.put_function_concurrency,
                     FunctionName="greedy", ReservedConcurrentExecutions=most + 1)
        self.assertEqual(self.aws.get_function_concurrency(FunctionName="greedy")["ReservedConcurrentExecutions"], most)
        self.aws.delete_function_concurrency(FunctionName="greedy")
        self.assertNotIn("ReservedConcurrentExecutions", self.aws.get_function_concurrency(FunctionName="greedy"))
        self.assertEqual(self.aws.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"], free)
        self.assertEqual(self.aws.get_account_settings()["AccountLimit"]["ConcurrentExecutions"], total)

    def test_a_reservation_of_3_runs_3_of_10_concurrent_calls_and_refuses_7(self):
        self.create("three", SLOW)
        self.aws.put_function_concurrency(FunctionName="three", ReservedConcurrentExecutions=3)
        for _ in range(2):
            served, refused = self.burst("three", 10, 3)
            self.assertEqual((len(served), len(refused)), (3, 7))
            self.assertEqual({a.payload for a in served}, {"done"})
            self.assertEqual({r["Reason"] for r in refused}, {RESERVED})

    def test_control_without_a_reservation_all_10_run(self):
        self.create("open", SLOW)
        served, refused = self.burst("open", 10, 1)
        self.assertEqual((len(served), len(refused)), (10, 0))

    def test_a_reservation_of_one_function_does_not_refuse_another(self):
        self.create("held", SLOW)
        self.create("free", SLOW)
        self.aws.put_function_concurrency(FunctionName="held", ReservedConcurrentExecutions=0)
        served, refused = self.burst("free", 5, 0.2)
        self.assertEqual((len(served), len(refused)), (5, 0))


class HangUp(Case):
    def hang_up(self, name, payload):
        """Sends a signed call, and closes the connection without reading the answer."""
        url = os.environ["AWS_ENDPOINT_URL_LAMBDA"] + f"/2015-03-31/functions/{name}/invocations"
        request = botocore.awsrequest.AWSRequest("POST", url, data=json.dumps(payload))
        credentials = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        botocore.auth.SigV4Auth(credentials, "lambda", REGION).add_auth(request)
        address = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        connection.request("POST", address.path, request.body, dict(request.headers))
        return connection

    def tried(self, name):
        """An answer, or the reason of the refusal. A reservation of 1 also means 10
        calls a second, so a refusal for the rate says nothing about the slot."""
        try:
            return Answer(self.aws.invoke(FunctionName=name, Payload=b"{}"))
        except self.aws.exceptions.TooManyRequestsException as refusal:
            return refusal.response["Reason"]

    def begun(self, name):
        logs = subprocess.run([os.environ["LAMBENT"], "logs", name], check=True, capture_output=True, timeout=20)
        return b"begun" in logs.stdout

    def test_a_client_that_hangs_up_leaves_the_handler_running_and_its_slot_held(self):
        source = """
import time
finished = 0
def handler(event, context):
    global finished
    if event.get('seconds'):
        print('begun', flush=True)
        time.sleep(event['seconds'])
        finished += 1
    return finished
"""
        self.create("left", source, MemorySize=1769)
        self.aws.put_function_concurrency(FunctionName="left", ReservedConcurrentExecutions=1)
        connection = self.hang_up("left", {"seconds": 3})
        until(lambda: self.begun("left"), "the call runs")
        connection.close()
        for _ in range(3):
            self.assertEqual(self.tried("left"), RESERVED, "the slot is held until the handler is done")
        answer = until(lambda: next((a for a in [self.tried("left")] if isinstance(a, Answer)), None), "the slot is free")
        self.assertEqual(answer.payload, 1, "the handler finished, in the same environment")

    def test_control_without_the_hung_up_call_the_slot_is_free(self):
        self.create("alone", "def handler(event, context):\n    return 0\n")
        self.aws.put_function_concurrency(FunctionName="alone", ReservedConcurrentExecutions=1)
        self.assertEqual([self.tried("alone").payload for _ in range(5)], [0] * 5)

    def test_a_reservation_of_1_serves_10_calls_a_second(self):
        self.create("paced", "def handler(event, context):\n    return 0\n")
        self.aws.put_function_concurrency(FunctionName="paced", ReservedConcurrentExecutions=1)
        began, tries = time.monotonic(), []
        while time.monotonic() - began < 2:
            tries.append(self.tried("paced"))
        served = [t for t in tries if isinstance(t, Answer)]
        # Ten at once, then ten a second; the machine may be slow, never fast.
        most = 10 + 10 * (time.monotonic() - began) + 1
        self.assertTrue(10 <= len(served) <= most, f"{len(served)} of {len(tries)} were served")
        self.assertEqual({t for t in tries if not isinstance(t, Answer)}, {"ReservedFunctionInvocationRateLimitExceeded"})
