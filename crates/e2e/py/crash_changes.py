"""Changes functions in several streams at once until the platform is gone, and writes
down each change before it is asked for and after it is acknowledged. The test kills
the platform in the middle of it; `test_crash.py` reads the journal afterwards."""

import json
import os
import random
import threading

import botocore.exceptions
from platform_under_test import ROLE, client, python_package

STREAMS = 3
NAMES = 4


def code(mark):
    return python_package(f"def handler(event, context):\n    return {mark!r}\n")


class Stream(threading.Thread):
    """One stream of changes over names that no other stream touches."""

    def __init__(self, number, seed, journal):
        super().__init__(name=f"stream-{number}")
        self.dice = random.Random(f"{seed}/{number}")
        self.names = [f"crash-{seed}-{number}-{n}" for n in range(NAMES)]
        self.state = {}
        self.aws = client()
        self.journal = journal
        self.marks = 0

    def write(self, **line):
        self.journal.write(json.dumps(line) + "\n")
        self.journal.flush()

    def run(self):
        try:
            while True:
                self.change(self.dice.choice(self.names))
        except (botocore.exceptions.HTTPClientError, botocore.exceptions.BotoCoreError):
            return  # the platform was killed: the last change is the open one

    def change(self, name):
        self.marks += 1
        mark = f"{name}/{self.marks}"
        known = self.state.get(name)
        if known is None:
            after = {"mark": mark, "description": mark, "reserved": None}
            call = lambda: self.aws.create_function(
                FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=ROLE, MemorySize=1024,
                Description=mark, Code={"ZipFile": code(mark)},
            )
        else:
            kind = self.dice.choice(("code", "code", "settings", "reserve", "delete"))
            if kind == "code":
                after = {**known, "mark": mark}
                call = lambda: self.aws.update_function_code(FunctionName=name, ZipFile=code(mark))
            elif kind == "settings":
                after = {**known, "description": mark}
                call = lambda: self.aws.update_function_configuration(FunctionName=name, Description=mark)
            elif kind == "reserve":
                count = self.dice.randint(1, 20)
                after = {**known, "reserved": count}
                call = lambda: self.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=count)
            else:
                after = None
                call = lambda: self.aws.delete_function(FunctionName=name)
        self.write(name=name, after=after, acknowledged=False)
        call()
        self.write(name=name, after=after, acknowledged=True)
        self.state[name] = after


def occupy():
    """A call that is running when the platform dies."""
    aws = client()
    try:
        aws.invoke(FunctionName="occupied", Payload=b"{}")
    except botocore.exceptions.BotoCoreError:
        pass


def main():
    aws = client()
    source = "import time\ndef handler(event, context):\n    time.sleep(100)\n"
    try:
        aws.create_function(
            FunctionName="occupied", Runtime="python3.11", Handler="app.handler", Role=ROLE, Timeout=120,
            MemorySize=1024, Code={"ZipFile": python_package(source)},
        )
    except aws.exceptions.ResourceConflictException:
        pass  # an earlier round made it
    threading.Thread(target=occupy, daemon=True).start()
    with open(os.environ["JOURNAL"], "a", encoding="utf-8") as journal:
        streams = [Stream(number, os.environ["SEED"], journal) for number in range(STREAMS)]
        for stream in streams:
            stream.start()
        for stream in streams:
            stream.join()


if __name__ == "__main__":
    main()
