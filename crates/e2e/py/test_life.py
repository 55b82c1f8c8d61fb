"""A function's life through boto3: create, read, list, invoke, change, delete, in
every kind of runtime, and what the handler sees of its call."""

import base64
import hashlib
import json
import os
import urllib.request

from platform_under_test import ACCOUNT, REGION, Case, client, package, python_package

ECHO = """
import os
def handler(event, context):
    return {
        "event": event,
        "request": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "left": context.get_remaining_time_in_millis(),
        "custom": context.client_context.custom if context.client_context else None,
        "env": dict(os.environ),
    }
"""


class Life(Case):
    def test_create_answers_the_whole_configuration(self):
        code = python_package(ECHO)
        made = self.create("whole", code, Description="d", Environment={"Variables": {"AA": "1"}}, MemorySize=512, Timeout=7)
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 201)
        self.assertEqual(made["FunctionArn"], f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:whole")
        self.assertIn(made["State"], ("Pending", "Active"))
        expected = {
            "FunctionName": "whole", "Runtime": "python3.11", "Handler": "app.handler", "Description": "d",
            "MemorySize": 512, "Timeout": 7, "Version": "$LATEST", "PackageType": "Zip", "CodeSize": len(code),
            "CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(), "Architectures": ["x86_64"],
        }
        self.assertEqual({key: made.get(key) for key in expected}, expected)
        self.assertEqual(made["Environment"], {"Variables": {"AA": "1"}})
        self.assertEqual(made["EphemeralStorage"], {"Size": 512})

        got = self.aws.get_function(FunctionName="whole")
        self.assertEqual(got["Configuration"]["CodeSha256"], expected["CodeSha256"])
        with urllib.request.urlopen(got["Code"]["Location"], timeout=10) as body:
            self.assertEqual(body.read(), code, "Code.Location gives the package back")
        self.refused(409, "ResourceConflictException", self.create, name="whole", code=code)

    def test_list_pages_through_all_functions_in_order(self):
        names = [f"paged-{n:02}" for n in range(7)]
        for name in names:
            self.create(name, ECHO)
        pages = list(self.aws.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3}))
        listed = [f["FunctionName"] for page in pages for f in page["Functions"]]
        self.assertEqual([n for n in listed if n.startswith("paged-")], names)
        self.assertTrue(all(len(page["Functions"]) <= 3 for page in pages))
        self.assertGreaterEqual(len(pages), 3)

    def test_python_handler_sees_its_call(self):
        self.create("seen", ECHO, MemorySize=640)
        answer = self.invoke("seen", {"n": [1, "ü", None]})
        self.assertEqual(answer.version, "$LATEST")
        self.assertEqual(answer.headers["content-type"], "application/json")
        seen = answer.payload
        self.assertEqual(seen["event"], {"n": [1, "ü", None]})
        self.assertEqual(seen["request"], answer.request_id)
        self.assertEqual(seen["arn"], f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:seen")
        self.assertEqual((seen["name"], seen["version"], str(seen["memory"])), ("seen", "$LATEST", "640"))
        self.assertTrue(10_000 < seen["left"] <= 20_000, seen["left"])
        env = seen["env"]
        expected = {
            "AWS_LAMBDA_FUNCTION_NAME": "seen", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "640",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_REGION": REGION, "_HANDLER": "app.handler",
            "LAMBDA_TASK_ROOT": "/var/task", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "TZ": ":UTC",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/seen",
        }
        self.assertEqual({key: env.get(key) for key in expected}, expected)
        self.assertRegex(env["AWS_LAMBDA_LOG_STREAM_NAME"], r"^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$")
        self.assertNotIn(os.environ["AWS_SECRET_ACCESS_KEY"], env.values(), "the operator's own key")

    def test_payloads_of_every_kind_arrive_and_come_back(self):
        self.create("kinds", "def handler(event, context):\n    return event\n")
        for kind in (None, True, 0, -1.5, "text", "\u2028ü\U0001f600", [], {}, [[{"a": [None]}]], "x" * 1_000_000):
            self.assertEqual(self.invoke("kinds", raw=json.dumps(kind)).payload, kind)
        empty = Case.invoke(self, "kinds", raw=b"")
        self.assertIn(empty.payload, ({}, None), "an empty payload is an empty event")

    def test_client_context_arrives_unchanged(self):
        self.create("context", ECHO)
        context = base64.b64encode(json.dumps({"custom": {"k": "v"}, "env": {"e": "1"}}).encode()).decode()
        self.assertEqual(self.ok("context", ClientContext=context)["custom"], {"k": "v"})

    def test_log_tail_has_the_documented_lines_and_only_when_asked(self):
        self.create("tail", "def handler(event, context):\n    print('said', event['n'])\n    return 1\n", MemorySize=256)
        cold, warm = self.invoke("tail", {"n": 1}), self.invoke("tail", {"n": 2})
        head = f"START RequestId: {cold.request_id} Version: $LATEST\n"
        self.assertIn("INIT_START Runtime Version: python", cold.log)
        self.assertIn(head + "said 1\n", cold.log)
        self.assertIn(f"END RequestId: {cold.request_id}\nREPORT RequestId: {cold.request_id}\tDuration: ", cold.log)
        report = r"REPORT RequestId: \S+\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\tMax Memory Used: \d+ MB\t"
        self.assertRegex(cold.log, report + r"Init Duration: [\d.]+ ms\t")
        self.assertRegex(warm.log, report + r"\n$")
        self.assertNotIn("said 1", warm.log, "the tail belongs to one call")
        self.assertEqual(self.invoke("tail", {"n": 3}, LogType="None").log, "")

    def test_log_tail_keeps_the_last_4_kb(self):
        self.create("chatty", "def handler(event, context):\n    for n in range(400): print('line %04d of many' % n)\n")
        log = self.invoke("chatty").log
        self.assertLessEqual(len(log.encode()), 4096)
        self.assertIn("line 0399 of many", log)
        self.assertIn("REPORT RequestId: ", log)
        self.assertNotIn("line 0001 of many", log)

    def test_node_functions_answer_in_every_handler_form(self):
        source = """
        exports.sync = (event, context, callback) => callback(null, {form: 'callback', event});
        exports.later = async (event, context) => { console.log('logged'); return {form: 'async', event, id: context.awsRequestId}; };
        exports.fails = async () => { throw new TypeError('not this'); };
        """
        code = package({"index.js": source})
        self.create("node-callback", code, "nodejs20.x", "index.sync")
        self.create("node-async", code, "nodejs20.x", "index.later")
        self.create("node-fails", code, "nodejs20.x", "index.fails")
        module = package({"index.mjs": "export const handler = async (event) => ({form: 'module', event});"})
        self.create("node-module", module, "nodejs20.x", "index.handler")
        self.assertEqual(self.ok("node-callback", {"a": 1}), {"form": "callback", "event": {"a": 1}})
        answer = self.invoke("node-async", {"a": 1})
        self.assertEqual(answer.payload, {"form": "async", "event": {"a": 1}, "id": answer.request_id})
        self.assertRegex(answer.log, rf"\d+T[\d:.]+Z\t{answer.request_id}\tINFO\tlogged\n")
        self.assertEqual(self.ok("node-module", {"a": 1}), {"form": "module", "event": {"a": 1}})
        failure = self.failed("node-fails").payload
        self.assertEqual((failure["errorType"], failure["errorMessage"]), ("TypeError", "not this"))
        self.assertTrue(any("index.js" in line for line in failure["trace"]), failure)

    def test_provided_runs_a_static_binary(self):
        with open(os.environ["STATIC_BOOTSTRAP"], "rb") as file:
            code = package({"bootstrap": file.read()})
        for runtime in ("provided.al2", "provided.al2023"):
            name = "static-" + runtime.replace(".", "-")
            self.create(name, code, runtime, "unused")
            answers = [self.ok(name, {"n": n}) for n in range(5)]
            self.assertEqual([a["echo"]["n"] for a in answers], list(range(5)))
            self.assertEqual(len({a["pid"] for a in answers}), 1, "warm calls share one process")

    def test_a_runtime_version_the_host_lacks_runs_on_the_nearest_with_a_warning(self):
        self.create("newer", "import sys\ndef handler(event, context):\n    return sys.version_info[:2]\n", "python3.13")
        answer = self.invoke("newer")
        if answer.payload != [3, 13]:
            self.assertIn("WARNING: python3.13 is not on this host", answer.log)

    def test_changed_code_answers_the_next_call(self):
        self.create("changing", "def handler(event, context):\n    return 'old'\n")
        self.assertEqual(self.ok("changing"), "old")
        before = self.aws.get_function_configuration(FunctionName="changing")
        code = python_package("def handler(event, context):\n    return 'new'\n")
        dry = self.aws.update_function_code(FunctionName="changing", ZipFile=code, DryRun=True)
        self.assertNotEqual(dry["CodeSha256"], before["CodeSha256"])
        self.assertEqual(self.ok("changing"), "old", "a dry run changes nothing")
        self.aws.update_function_code(FunctionName="changing", ZipFile=code)
        self.active("changing")
        self.assertEqual([self.ok("changing") for _ in range(3)], ["new"] * 3)
        after = self.aws.get_function_configuration(FunctionName="changing")
        self.assertNotEqual(after["RevisionId"], before["RevisionId"])
        self.refused(412, "PreconditionFailedException", self.aws.update_function_code,
                     FunctionName="changing", ZipFile=code, RevisionId=before["RevisionId"])

    def test_changed_settings_are_seen_by_the_next_call(self):
        self.create("settings", ECHO + "\ndef other(event, context):\n    return 'other'\n", MemorySize=256, Environment={"Variables": {"AA": "1", "BB": "2"}})
        self.assertEqual(self.ok("settings")["env"]["BB"], "2")
        change = {"MemorySize": 512, "Environment": {"Variables": {"AA": "3"}}, "Timeout": 11, "Description": "x"}
        self.aws.update_function_configuration(FunctionName="settings", **change)
        self.active("settings")
        seen = self.ok("settings")
        self.assertEqual((seen["env"]["AA"], str(seen["memory"])), ("3", "512"))
        self.assertNotIn("BB", seen["env"])
        self.assertTrue(seen["left"] <= 11_000)
        self.aws.update_function_configuration(FunctionName="settings", Handler="app.other")
        self.active("settings")
        self.assertEqual(self.ok("settings"), "other")
        now = self.aws.get_function_configuration(FunctionName="settings")
        self.assertEqual((now["Timeout"], now["Description"]), (11, "x"), "what was not named stays")

    def test_scratch_and_globals_live_as_long_as_the_environment(self):
        source = """
import os
calls = 0
def handler(event, context):
    global calls
    calls += 1
    with open('/tmp/kept', 'a') as file: file.write('x')
    with open('/tmp/kept') as file: text = file.read()
    try:
        open('/var/task/app.py', 'a'); writable = True
    except OSError: writable = False
    return [calls, text, os.getcwd(), writable]
"""
        self.create("scratch", source)
        self.assertEqual(self.ok("scratch"), [1, "x", "/var/task", False])
        self.assertEqual(self.ok("scratch"), [2, "xx", "/var/task", False])

    def test_names_of_every_form_reach_the_function(self):
        self.create("named", "def handler(event, context):\n    return context.invoked_function_arn\n")
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:named"
        for name in ("named", f"{ACCOUNT}:function:named", arn, "named:$LATEST", arn + ":$LATEST"):
            answer = self.invoke(name)
            self.assertEqual((answer.status, answer.function_error), (200, None), name)
            self.assertIn(answer.payload, (arn, arn + ":$LATEST"))
        self.assertEqual(self.aws.get_function_configuration(FunctionName=arn)["FunctionName"], "named")
        self.assertEqual(self.invoke("named", Qualifier="$LATEST").payload, arn + ":$LATEST")

    def test_dry_run_says_204_and_runs_nothing(self):
        self.create("dry", "calls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    return calls\n")
        answer = self.aws.invoke(FunctionName="dry", InvocationType="DryRun")
        self.assertEqual((answer["StatusCode"], answer["Payload"].read()), (204, b""))
        self.assertEqual(self.ok("dry"), 1)

    def test_a_deleted_function_is_gone_and_its_name_is_free(self):
        self.create("brief", "def handler(event, context):\n    return 1\n")
        self.ok("brief")
        answer = self.aws.delete_function(FunctionName="brief")
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 204)
        for call in (self.aws.get_function, self.aws.invoke, self.aws.delete_function, self.aws.get_function_configuration):
            self.refused(404, "ResourceNotFoundException", call, FunctionName="brief")
        self.create("brief", "def handler(event, context):\n    return 2\n")
        self.assertEqual(self.ok("brief"), 2)

    def test_account_settings_count_code_and_functions(self):
        before = self.aws.get_account_settings()
        self.assertEqual(before["AccountLimit"]["TotalCodeSize"], 80530636800)
        self.assertEqual(before["AccountLimit"]["CodeSizeZipped"], 52428800)
        self.assertEqual(before["AccountLimit"]["CodeSizeUnzipped"], 262144000)
        made = self.create("counted", ECHO)
        after = self.aws.get_account_settings()
        self.assertEqual(after["AccountUsage"]["FunctionCount"], before["AccountUsage"]["FunctionCount"] + 1)
        self.assertEqual(after["AccountUsage"]["TotalCodeSize"], before["AccountUsage"]["TotalCodeSize"] + made["CodeSize"])
        self.assertGreaterEqual(after["AccountLimit"]["ConcurrentExecutions"], 100)
