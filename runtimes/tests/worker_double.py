"""Plays the worker towards a real runtime client: starts it with one end of a socket pair and speaks the frames.

Holds no expectations of its own; the tests and the measurements share it.
"""
import json
import os
import socket
import struct
import subprocess
import tempfile
import time

RUNTIMES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INVOKE, LOAD = 1, 2
READY, RESPONSE, ERROR, INIT_ERROR, STREAM_START, STREAM_CHUNK, STREAM_END, PARKED = 16, 17, 18, 19, 20, 21, 22, 23
COMMANDS = {
    "python": [os.environ.get("LAMBENT_TEST_PYTHON", "/usr/bin/python3"), "-S", os.path.join(RUNTIMES, "python", "bootstrap.py")],
    "node": ["/usr/bin/node", os.path.join(RUNTIMES, "node", "bootstrap.cjs")],
    "node-mjs": ["/usr/bin/node", os.path.join(RUNTIMES, "node", "bootstrap.mjs")],
}
# Far above what any case takes: reached only when a client hangs, which is a failure.
PATIENCE_SECONDS = 20
ARN = "arn:aws:lambda:us-east-1:000000000000:function:probe"


def frame(kind, header, body):
    head = json.dumps(header).encode() if header is not None else b""
    return struct.pack("<BII", kind, len(head), len(body)) + head + body


class Client:
    """One runtime client process over the given function files."""

    def __init__(self, language, handler, files, env=(), channel_fd=None):
        self.folder = tempfile.TemporaryDirectory()
        root = self.folder.name
        for name, text in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
        self.root = root
        near, far = socket.socketpair()
        near.settimeout(PATIENCE_SECONDS)
        self.socket = near
        variables = {
            "_HANDLER": handler,
            "LAMBDA_TASK_ROOT": root,
            "LAMBENT_CHANNEL_FD": str(far.fileno()),
            "AWS_LAMBDA_FUNCTION_NAME": "probe",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/probe",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/21/[$LATEST]0",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_CTYPE": "C.UTF-8",
            "TZ": ":UTC",
        }
        variables.update(env)
        self.process = subprocess.Popen(
            COMMANDS[language],
            env=variables,
            cwd=root,
            pass_fds=[far.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        far.close()

    def receive(self):
        """(kind, header, body), or None at the end of the channel."""
        prefix = self._exactly(9)
        if prefix is None:
            return None
        kind, head, body = struct.unpack("<BII", prefix)
        header = self._exactly(head) or b"{}"
        return kind, json.loads(header), self._exactly(body)

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            data += part
        return bytes(data)

    def load(self, variables):
        """Gives a parked client its function."""
        self.socket.sendall(frame(LOAD, {"env": variables, "cwd": self.root}, b""))

    def send(self, event, **header):
        fields = {"id": "req-1", "deadline_ms": int(time.time() * 1000) + 30000, "arn": ARN}
        fields.update(header)
        self.socket.sendall(frame(INVOKE, fields, event if isinstance(event, bytes) else json.dumps(event).encode()))

    def call(self, event=None, **header):
        self.send(event, **header)
        return self.receive()

    def ready(self):
        got = self.receive()
        assert got == (READY, {}, b""), "expected READY, got %r, output %r" % (got, self.output())
        return self

    def close(self):
        """Hangs up; (exit status, everything printed), which has to fit a pipe: nobody reads it earlier."""
        return self.output()

    def output(self):
        self.socket.close()
        text, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        self.folder.cleanup()
        return self.process.returncode, text.decode()
