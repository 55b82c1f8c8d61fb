"""Requests that are refused before any code runs: status, code and body key as AWS
documents them."""

import http.client
import os
import urllib.parse

import botocore.exceptions
from platform_under_test import ACCOUNT, REGION, ROLE, Case, client, package

ECHO = "def handler(event, context):\n    return event\n"
SYNC_PAYLOAD_MAX = 6 * 1024 * 1024


class Refusals(Case):
    def test_a_wrong_secret_is_403(self):
        wrong = client(aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x" * 40)
        self.refused(403, "InvalidSignatureException", wrong.list_functions)
        unknown = client(aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="x" * 40)
        self.refused(403, "UnrecognizedClientException", unknown.list_functions)

    def test_no_signature_is_403(self):
        address = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL_LAMBDA"])
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        connection.request("GET", "/2015-03-31/functions/")
        self.assertEqual(connection.getresponse().status, 403)

    def test_an_unknown_function_is_404_with_a_capital_message(self):
        response = self.refused(404, "ResourceNotFoundException", self.aws.invoke, FunctionName="nobody")
        self.assertEqual(response["Type"], "User")
        self.assertEqual(
            response["Message"], f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"
        )
        self.assertEqual(response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"].split(":")[0], "ResourceNotFoundException")

    def test_an_operation_that_is_not_served_is_refused_plainly(self):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.aws.list_code_signing_configs()
        status = caught.exception.response["ResponseMetadata"]["HTTPStatusCode"]
        self.assertIn(status, (403, 404), caught.exception.response)

    def test_a_payload_that_is_not_json_is_400_and_runs_nothing(self):
        self.create("json-only", "calls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    return calls\n")
        for raw in ("{", "nonsense", '{"a":1} x', "'single'", b"\xff\xfe"):
            response = self.refused(400, "InvalidRequestContentException", self.aws.invoke, FunctionName="json-only", Payload=raw)
            self.assertEqual(response["Type"], "User")
        self.assertEqual(self.ok("json-only"), 1)

    def test_a_payload_of_6_mb_runs_and_one_byte_more_is_413(self):
        self.create("large", "def handler(event, context):\n    return len(event)\n")
        filled = SYNC_PAYLOAD_MAX - 2
        self.assertEqual(self.invoke("large", raw='"' + "x" * filled + '"').payload, filled)
        # The limit inside is 6 MiB and 100 bytes; clearly above it nothing may run.
        for size in (filled + 200, filled + 3_000_000):
            self.refused(413, "RequestTooLargeException", self.aws.invoke, FunctionName="large", Payload='"' + "x" * size + '"')
        self.assertEqual(self.invoke("large", raw='"ab"').payload, 2)

    def test_a_name_and_a_qualifier_that_differ_are_400(self):
        self.create("twice", ECHO)
        response = self.refused(400, "InvalidParameterValueException", self.aws.invoke, FunctionName="twice:$LATEST", Qualifier="7")
        self.assertEqual(response["message"], "The derived qualifier from the function name does not match the specified qualifier.")
        self.refused(404, "ResourceNotFoundException", self.aws.invoke, FunctionName="twice", Qualifier="7")
        self.refused(404, "ResourceNotFoundException", self.aws.invoke, FunctionName="twice:nowhere")

    def test_shapes_are_checked_with_the_model_s_words(self):
        code = {"ZipFile": package({"app.py": ECHO})}
        good = {"FunctionName": "shape", "Runtime": "python3.11", "Handler": "app.handler", "Role": ROLE, "Code": code}
        loose = client(config={"parameter_validation": False})
        for change in ({"MemorySize": 1}, {"Timeout": 0}, {"Runtime": "cobol"}, {"FunctionName": "no spaces"}, {"Role": "nobody"}):
            response = self.refused(400, "ValidationException", loose.create_function, **{**good, **change})
            self.assertRegex(response["Error"]["Message"], r"^1 validation error detected: Value '.*' at '.*' failed to satisfy constraint: Member must ")
            self.assertNotIn("Type", response)
        self.refused(404, "ResourceNotFoundException", self.aws.get_function, FunctionName="shape")

    def test_packages_that_cannot_be_read_are_refused(self):
        arguments = {"FunctionName": "spoiled", "Runtime": "python3.11", "Handler": "app.handler", "Role": ROLE}
        for spoiled in (b"not a zip", package({"app.py": ECHO})[:-30]):
            self.refused(400, "InvalidParameterValueException", self.aws.create_function, Code={"ZipFile": spoiled}, **arguments)
        outside = package({"../outside.py": ECHO, "app.py": ECHO})
        try:
            self.create("outside", outside)
        except botocore.exceptions.ClientError as error:
            self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        self.refused(404, "ResourceNotFoundException", self.aws.get_function, FunctionName="spoiled")

    def test_reserved_variables_and_too_many_are_refused(self):
        # The model's pattern has no leading underscore, so this one is a matter of shape.
        self.refused(400, "ValidationException", self.create, name="reserved", code=ECHO, Environment={"Variables": {"_HANDLER": "x"}})
        for variables in ({"AWS_REGION": "x"}, {"AWS_LAMBDA_RUNTIME_API": "x"}, {"BIG": "x" * 5000}):
            self.refused(400, "InvalidParameterValueException", self.create, name="reserved", code=ECHO, Environment={"Variables": variables})
