"""Measures the runtime clients: start to READY, start to first answer, warm round trip and client CPU, parked load.

Run as `/usr/bin/python3 runtimes/tests/measure.py`. It prints figures and asserts none: timings are never tests.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import worker_double
from worker_double import Client, frame

FILES = {"echo.py": "def handler(e, c):\n    return e\n", "echo.js": "exports.handler = async (e) => e;\n"}
STARTS = 20
CALLS = 5000
EVENT = b'{"key1":"value1","key2":"value2","n":[1,2,3]}'
HEADER = {
    "id": "8a1b2c3d-0000-4000-8000-1234567890ab",
    "deadline_ms": 4102444800000,
    "arn": worker_double.ARN,
    "trace": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
}


def show(what, language, samples_ms, unit="ms"):
    print("%-34s %-9s median %7.2f  min %7.2f %s" % (what, language, statistics.median(samples_ms), min(samples_ms), unit))


def starts(language):
    to_ready, to_answer = [], []
    for _ in range(STARTS):
        begin = time.perf_counter()
        client = Client(language, "echo.handler", FILES).ready()
        to_ready.append((time.perf_counter() - begin) * 1e3)
        client.call(1)
        to_answer.append((time.perf_counter() - begin) * 1e3)
        client.close()
    show("start -> READY", language, to_ready)
    show("start -> first answer", language, to_answer)


def parked(language):
    samples = []
    for _ in range(STARTS):
        client = Client(language, "", FILES, {"LAMBENT_PARKED": "1"})
        client.receive()
        begin = time.perf_counter()
        client.load({"_HANDLER": "echo.handler", "LAMBDA_TASK_ROOT": client.root, "PATH": "/usr/bin:/bin"})
        client.send(1)
        client.receive()
        client.receive()
        samples.append((time.perf_counter() - begin) * 1e3)
        client.close()
    show("parked: LOAD -> first answer", language, samples)


def cpu_us(pid):
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task)) as stat:
            total += int(stat.read().split()[0])
    return total / 1000


def warm(language, cores):
    client = Client(language, "echo.handler", FILES).ready()
    request = frame(worker_double.INVOKE, HEADER, EVENT)

    def call():
        client.socket.sendall(request)
        return client.socket.recv(65536)

    for _ in range(2000):
        call()
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, cores)
        for task in os.listdir("/proc/%d/task" % client.process.pid):
            os.sched_setaffinity(int(task), cores)
    used, samples = cpu_us(client.process.pid), []
    for _ in range(CALLS):
        begin = time.perf_counter_ns()
        call()
        samples.append((time.perf_counter_ns() - begin) / 1e3)
    used = cpu_us(client.process.pid) - used
    os.sched_setaffinity(0, before)
    where = "free" if cores is None else "one core"
    show("warm round trip, %s" % where, language, samples, "us, client CPU %.1f us a call" % (used / CALLS))
    client.close()


def compile_python():
    """A copy of the Python client with compiled files beside it, as a worker should mount it."""
    folder = tempfile.mkdtemp()
    copy = os.path.join(folder, "python")
    shutil.copytree(os.path.join(worker_double.RUNTIMES, "python"), copy, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        ["/usr/bin/python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", copy], check=True
    )
    worker_double.COMMANDS["python+pyc"] = ["/usr/bin/python3", "-S", os.path.join(copy, "bootstrap.py")]
    return folder


def main():
    folder = compile_python()
    try:
        for language in sys.argv[1:] or ("python", "python+pyc", "node", "node-mjs"):
            starts(language)
            parked(language)
            warm(language, None)
            warm(language, {max(os.sched_getaffinity(0))})
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
