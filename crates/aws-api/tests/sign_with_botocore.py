#!/usr/bin/env python3
"""Writes botocore_signed.json: requests as botocore signs them.

The table is checked in; run this again only to add cases:
    python3 sign_with_botocore.py > botocore_signed.json
needs botocore. The time is fixed, so the output is the same every time.
"""

import datetime
import hashlib
import json
import sys

import botocore.auth
import botocore.compat
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 21, 12, 19, 23, tzinfo=datetime.timezone.utc)
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "tok/en+with=signs=="
BASE = "http://127.0.0.1:4574"
ARN = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af"
INVOKE = {"X-Amz-Invocation-Type": "RequestResponse", "User-Agent": "Boto3/1.44.5", "X-Amz-Log-Type": "Tail"}

# name, kind, service, method, path and query, headers, body, with a session token
CASES = [
    ("invoke", "header", "lambda", "POST", "/2015-03-31/functions/f/invocations", INVOKE, b'{"a": 1}', False),
    ("invoke_arn", "header", "lambda", "POST", f"/2015-03-31/functions/{ARN}/invocations?Qualifier=%24LATEST", INVOKE, b"{}", False),
    ("token", "header", "lambda", "GET", "/2015-03-31/functions?Marker=a%2Bb%2F%3D&MaxItems=50", {}, b"", True),
    ("tags", "header", "lambda", "DELETE", f"/2017-03-31/tags/{ARN}?tagKeys=b&tagKeys=a%20c&tagKeys=%C3%A9", {}, b"", False),
    ("dots", "header", "lambda", "GET", "/2015-03-31//functions/./x/../f/configuration/", {}, b"", False),
    ("spaces", "header", "lambda", "POST", "/2015-03-31/functions", {"X-Amz-Meta": "  a   b  ", "Content-Type": "application/json"}, b"{}", False),
    ("unicode", "header", "lambda", "GET", "/2015-03-31/functions/%C3%BC%20~-_./aliases/%2Fx", {}, b"", False),
    ("empty_value", "header", "lambda", "GET", "/2018-10-31/layers?find=LayerVersion&Arn=", {}, b"", False),
    ("presigned", "query", "lambda", "GET", "/2015-03-31/functions/f?Qualifier=%241", {}, b"", False),
    ("presigned_token", "query", "lambda", "POST", f"/2015-03-31/functions/{ARN}/invocations", {}, b"", True),
    ("s3_put", "s3", "s3", "PUT", "/bucket/a%20b//c%2Bd/%C3%A9", {}, b"bytes", False),
    ("s3_presigned", "s3query", "s3", "GET", "/bucket/key//x?versionId=1", {}, b"", True),
]

SIGNERS = {
    "header": botocore.auth.SigV4Auth,
    "query": botocore.auth.SigV4QueryAuth,
    "s3": botocore.auth.S3SigV4Auth,
    "s3query": botocore.auth.S3SigV4QueryAuth,
}


def main():
    # Both names exist for the one clock of the signer, depending on the version.
    clock = lambda *_, **__: NOW
    for name in ("get_current_datetime",):
        if hasattr(botocore.auth, name):
            setattr(botocore.auth, name, clock)
    rows = []
    for name, kind, service, method, target, headers, body, with_token in CASES:
        credentials = Credentials(KEY, SECRET, TOKEN if with_token else None)
        request = AWSRequest(method=method, url=BASE + target, headers=dict(headers), data=body)
        SIGNERS[kind](credentials, service, "us-east-1").add_auth(request)
        sent = request.prepare()
        path, _, query = sent.url[len(BASE):].partition("?")
        lines = [["host", "127.0.0.1:4574"]]
        for key, value in sent.headers.items():
            lines.append([key, value.decode() if isinstance(value, bytes) else value])
        rows.append({
            "name": name, "service": service, "method": method, "path": path,
            "query": query or None, "headers": lines, "token": with_token,
            "body_sha256": hashlib.sha256(body).hexdigest(),
        })
    json.dump(rows, sys.stdout, indent=1)
    print()


main()
