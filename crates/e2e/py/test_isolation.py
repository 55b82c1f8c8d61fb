"""What a function can reach of the host and of its neighbours: nothing. Each probe is
also run outside, here, where it must succeed: a probe that fails everywhere proves
nothing. Hogs are let loose while a neighbour's calls are counted."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from platform_under_test import Answer, Case, client

# Each probe gives {"ok": bool, "why": text}; the very same source runs outside.
PROBES = '''
import ctypes, glob, json, os, socket, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(number), *[a if not isinstance(a, int) else ctypes.c_long(a) for a in arguments])
    code = ctypes.get_errno() if got < 0 else 0
    return {"ok": got >= 0, "why": os.strerror(code)}

def attempt(work):
    try:
        work()
        return {"ok": True, "why": ""}
    except Exception as error:
        return {"ok": False, "why": repr(error)}

def processes(event):
    lines = {}
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            lines[path.split("/")[2]] = open(path, "rb").read().replace(b"\\0", b" ").decode(errors="replace")
        except OSError:
            pass
    return {"ok": any(event["needle"] in line for line in lines.values()), "why": str(len(lines))}

def signal_host(event):
    return attempt(lambda: os.kill(event["pid"], 0))

def read_file(event):
    return attempt(lambda: open(event["path"], "rb").read(1))

def connect(event):
    return attempt(lambda: socket.create_connection(("127.0.0.1", event["port"]), timeout=2).close())

def mount(event):
    target = event["folder"].encode()
    code = libc.mount(b"probe", target, b"tmpfs", 0, None)
    why = os.strerror(ctypes.get_errno()) if code else ""
    if code == 0: libc.umount2(target, 2)
    return {"ok": code == 0, "why": why}

def ptrace(event):
    child = subprocess.Popen(["/bin/sleep", "5"])
    try:
        answer = call(101, 16, child.pid, 0, 0)
        if answer["ok"]:
            os.waitpid(child.pid, 0)
            call(101, 17, child.pid, 0, 0)
        return answer
    finally:
        child.kill(); child.wait()

def bpf(event):
    attributes = (ctypes.c_uint32 * 32)(2, 4, 8, 1)  # an array map
    return call(321, 0, ctypes.byref(attributes), 128)

def keyctl(event):
    return call(250, 0, -3, 1, 0, 0)

def io_uring(event):
    return call(425, 4, ctypes.byref((ctypes.c_uint8 * 120)()))

def init_module(event):
    # Nobody loads this: outside the answer is about the image, not about permission.
    answer = call(175, ctypes.c_char_p(b"x"), 1, ctypes.c_char_p(b""))
    return {"ok": answer["why"] == os.strerror(8), "why": answer["why"]}

def unshare(event):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.unshare(0x10000000) == 0 else 1)
    return {"ok": os.waitpid(pid, 0)[1] == 0, "why": ""}

def handler(event, context=None):
    return globals()[event["probe"]](event)

if __name__ == "__main__":
    print(json.dumps(handler(json.loads(sys.argv[1]))))
'''

NEIGHBOUR = """
import os, socket, threading, time
served = None
def handler(event, context):
    global served
    if event.get('leave'):
        open('/tmp/secret', 'w').write('secret')
        served = socket.create_server(('127.0.0.1', 0))
        return served.getsockname()[1]
    if event.get('self'):
        socket.create_connection(('127.0.0.1', event['self']), timeout=2).close()
        return open('/tmp/secret').read()
    return sum(range(1000))
"""


class Unreachable(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("test_bpf_is_refused")
        case.create("probe", PROBES)
        cls.addClassCleanup(case.remove, "probe")
        # Outside the probe runs as a program of its own: a probe may change its process.
        cls.source = tempfile.NamedTemporaryFile("w", suffix=".py")
        cls.addClassCleanup(cls.source.close)
        cls.source.write(PROBES)
        cls.source.flush()

    def inside(self, probe, **event):
        return self.ok("probe", {"probe": probe, **event})

    def outside(self, probe, **event):
        line = [sys.executable, self.source.name, json.dumps({"probe": probe, **event})]
        return json.loads(subprocess.run(line, check=True, capture_output=True, timeout=20).stdout)

    def only_outside(self, probe, inside=None, outside=None):
        control = self.outside(probe, **(outside or inside or {}))
        self.assertTrue(control["ok"], f"the control outside: {control}")
        seen = self.inside(probe, **(inside or {}))
        self.assertFalse(seen["ok"], f"inside: {seen}")
        return seen

    def test_other_processes_are_invisible(self):
        seen = self.only_outside("processes", {"needle": "sandbox-spawner"})
        self.assertLess(int(seen["why"]), 5, "only its own few processes are in its /proc")
        self.only_outside("signal_host", {"pid": os.getpid()})

    def test_host_files_are_unreadable(self):
        credentials = os.path.join(os.environ["LAMBENT_DATA"], "credentials.json")
        for path in (credentials, "/etc/shadow", f"/proc/{os.getpid()}/environ", "/dev/kmsg", self.source.name, "/root/.profile"):
            if os.path.exists(path):
                self.only_outside("read_file", {"path": path})
        self.assertTrue(self.inside("read_file", path="/usr/bin/python3")["ok"], "what it runs on can be read")

    def test_the_platform_and_host_ports_are_unreachable(self):
        port = int(os.environ["AWS_ENDPOINT_URL_LAMBDA"].rsplit(":", 1)[1])
        self.only_outside("connect", {"port": port})

    def test_another_environment_s_scratch_and_port_are_unreachable(self):
        self.create("neighbour", NEIGHBOUR)
        port = self.ok("neighbour", {"leave": True})
        self.assertEqual(self.ok("neighbour", {"self": port}), "secret", "its own environment has both")
        self.assertFalse(self.inside("connect", port=port)["ok"])
        self.assertFalse(self.inside("read_file", path="/tmp/secret")["ok"])
        # The same function in a second environment: a version of its own pool key.
        self.create("neighbour-2", NEIGHBOUR)
        self.failed("neighbour-2", {"self": port})

    def test_mount_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            self.only_outside("mount", {"folder": "/tmp"}, {"folder": folder})

    def test_ptrace_is_refused(self):
        self.only_outside("ptrace")

    def test_bpf_is_refused(self):
        self.only_outside("bpf")

    def test_keyctl_is_refused(self):
        self.only_outside("keyctl")

    def test_io_uring_is_refused(self):
        self.only_outside("io_uring")

    def test_loading_a_kernel_module_is_refused(self):
        control = self.outside("init_module")
        seen = self.inside("init_module")
        self.assertFalse(seen["ok"], seen)
        self.assertNotEqual(control["why"], os.strerror(1), f"outside it is not a matter of permission: {control}")
        self.assertEqual(seen["why"], os.strerror(1), seen)

    def test_new_namespaces_are_refused(self):
        self.only_outside("unshare")


HOGS = """
import os, time
def handler(event, context):
    if event['hog'] == 'fork':
        made = 0
        while True:
            try:
                pid = os.fork()
            except OSError as error:
                return {'made': made, 'why': error.strerror}
            if pid == 0:
                time.sleep(60); os._exit(0)
            made += 1
    if event['hog'] == 'memory':
        held = []
        while True: held.append(bytearray(os.urandom(1 << 10) * 4096))
    if event['hog'] == 'disk':
        written = 0
        try:
            with open('/tmp/full', 'wb') as file:
                while True: written += file.write(bytes(1 << 20))
        except OSError as error:
            return {'written': written >> 20, 'why': error.strerror}
    if event['hog'] == 'cpu':
        while True: pass
"""


class Contained(Case):
    """Each hog runs while a neighbour is called again and again: no call of it fails."""

    def beside_a_neighbour(self, event, **settings):
        self.create("calm", NEIGHBOUR, Timeout=10)
        self.create("hog", HOGS, Timeout=settings.pop("Timeout", 20), **settings)
        self.assertEqual(self.ok("calm"), 499500)
        over = threading.Event()

        def neighbour():
            aws, calls, failures = client(), 0, []
            while not over.is_set():
                try:
                    answer = Answer(aws.invoke(FunctionName="calm", Payload=b"{}"))
                    if answer.function_error or answer.payload != 499500:
                        failures.append(answer)
                except Exception as error:
                    failures.append(error)
                calls += 1
            return calls, failures

        with ThreadPoolExecutor(1) as pool:
            calls = pool.submit(neighbour)
            try:
                answer = self.invoke("hog", event)
            finally:
                over.set()
            made, failures = calls.result()
        self.assertEqual(failures, [], f"of {made} calls of the neighbour")
        self.assertGreater(made, 0)
        return answer

    def test_a_fork_bomb_is_contained(self):
        answer = self.beside_a_neighbour({"hog": "fork"})
        if answer.function_error is None:
            self.assertLess(answer.payload["made"], 2000, answer)
        self.assertEqual(subprocess.run(["/bin/true"]).returncode, 0, "the host still forks")
        self.assertEqual(self.ok("calm"), 499500)

    def test_a_memory_hog_is_contained(self):
        answer = self.beside_a_neighbour({"hog": "memory"}, MemorySize=512)
        self.assertEqual(answer.payload["errorType"], "Runtime.OutOfMemory", answer)

    def test_a_disk_filler_is_contained(self):
        answer = self.beside_a_neighbour({"hog": "disk"}, MemorySize=1769)
        self.assertEqual(answer.function_error, None, answer)
        self.assertEqual(answer.payload["why"], os.strerror(28), answer)
        self.assertTrue(500 <= answer.payload["written"] <= 512, answer)

    def test_a_busy_loop_is_contained(self):
        answer = self.beside_a_neighbour({"hog": "cpu"}, Timeout=2)
        self.assertEqual(answer.payload["errorType"], "Sandbox.Timedout", answer)
