"""What every Python driver of the end-to-end suite shares: a boto3 client without
retries, deployment packages made in memory, and invocations as plain values."""

import base64
import io
import json
import os
import time
import unittest
import zipfile

import boto3
from botocore.config import Config

ROLE = "arn:aws:iam::123456789012:role/e2e"
ACCOUNT = "123456789012"
REGION = os.environ["AWS_REGION"]


def client(**settings):
    """No retries: a refusal must be seen, not slept over."""
    config = Config(
        retries={"max_attempts": 0, "mode": "standard"},
        read_timeout=60,
        max_pool_connections=64,
        **settings.pop("config", {}),
    )
    return boto3.client("lambda", config=config, **settings)


def package(files):
    """A zip of {path: text or bytes}, every file executable."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=1)
    return out.getvalue()


def python_package(source):
    return package({"app.py": source})


class Answer:
    """One invocation as the caller sees it."""

    def __init__(self, response):
        self.status = response["StatusCode"]
        self.function_error = response.get("FunctionError")
        self.version = response.get("ExecutedVersion")
        self.bytes = response["Payload"].read()
        self.log = base64.b64decode(response.get("LogResult", "")).decode()
        self.headers = response["ResponseMetadata"]["HTTPHeaders"]
        self.request_id = response["ResponseMetadata"]["RequestId"]

    @property
    def payload(self):
        return json.loads(self.bytes)

    def __repr__(self):
        return f"Answer({self.status}, {self.function_error}, {self.bytes[:500]!r}, {self.log!r})"


def until(look, what, seconds=15):
    """Repeats a look until it is true; waiting for something visible, never for luck."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not seen within {seconds} s: {what}")
        time.sleep(0.01)


class Case(unittest.TestCase):
    """A test that makes functions and deletes them afterwards."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.aws = client()

    def create(self, name, code, runtime="python3.11", handler="app.handler", **more):
        more.setdefault("MemorySize", 1024)
        more.setdefault("Timeout", 20)
        if isinstance(code, str):
            code = python_package(code)
        made = self.aws.create_function(
            FunctionName=name, Runtime=runtime, Handler=handler, Role=ROLE, Code={"ZipFile": code}, **more
        )
        self.addCleanup(self.remove, name)
        self.active(name)
        return made

    def remove(self, name):
        try:
            self.aws.delete_function(FunctionName=name)
        except self.aws.exceptions.ResourceNotFoundException:
            pass

    def active(self, name):
        def settled():
            now = self.aws.get_function_configuration(FunctionName=name)
            return now["State"] == "Active" and now["LastUpdateStatus"] == "Successful"

        until(settled, f"{name} is Active")

    def invoke(self, name, payload=None, raw=None, **more):
        more.setdefault("LogType", "Tail")
        body = raw if raw is not None else json.dumps({} if payload is None else payload)
        return Answer(self.aws.invoke(FunctionName=name, Payload=body, **more))

    def ok(self, name, payload=None, **more):
        answer = self.invoke(name, payload, **more)
        self.assertEqual((answer.status, answer.function_error), (200, None), answer)
        return answer.payload

    def failed(self, name, payload=None, **more):
        """A call that failed inside: still status 200, always `Unhandled`."""
        answer = self.invoke(name, payload, **more)
        self.assertEqual((answer.status, answer.function_error), (200, "Unhandled"), answer)
        return answer

    def refused(self, status, error, call, /, **arguments):
        """The response of a call that must be refused so."""
        with self.assertRaises(Exception) as caught:
            call(**arguments)
        response = getattr(caught.exception, "response", None)
        self.assertIsNotNone(response, repr(caught.exception))
        seen = (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"])
        self.assertEqual(seen, (status, error), response)
        return response
