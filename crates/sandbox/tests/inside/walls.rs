//! What a program inside cannot see or do. Each case has its control outside, so that a
//! test which proves nothing fails.

use crate::stage::{PYTHON, code, inside, launch, outcome, outside, run, spawner, spec};

/// Number and arguments of calls that are refused inside; `call` prints the errno.
const CALL: &str = "import ctypes,sys\n\
libc=ctypes.CDLL(None,use_errno=True)\n\
def call(n,*a):\n\
\x20 r=libc.syscall(n,*[ctypes.c_long(x) for x in a])\n\
\x20 return 0 if r>=0 else ctypes.get_errno()\n";

#[test]
fn i9_no_rights_remain() {
    let script = "print(open('/proc/self/status').read())";
    let (inner, outer) = (inside(script), outside(script));
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(&inner, set), "0000000000000000", "{set}");
    }
    assert_ne!(field(&outer, "CapEff"), "0000000000000000", "control: tests run as root");
    assert_eq!(field(&inner, "NoNewPrivs"), "1");
    assert_eq!(field(&inner, "Seccomp"), "2");
    assert_eq!(field(&outer, "Seccomp"), "0", "control");
    assert_eq!(field(&inner, "Uid"), "990\t990\t990\t990");
    assert_eq!(field(&inner, "Groups"), "");
}

#[test]
fn i9_dangerous_calls_are_refused() {
    let numbers = [
        ("mount", libc::SYS_mount),
        ("ptrace", libc::SYS_ptrace),
        ("bpf", libc::SYS_bpf),
        ("keyctl", libc::SYS_keyctl),
        ("add_key", libc::SYS_add_key),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("init_module", libc::SYS_init_module),
        ("unshare", libc::SYS_unshare),
        ("setns", libc::SYS_setns),
        ("kexec_load", libc::SYS_kexec_load),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("chroot", libc::SYS_chroot),
        ("reboot", libc::SYS_reboot),
        ("swapon", libc::SYS_swapon),
        ("settimeofday", libc::SYS_settimeofday),
    ];
    let list: Vec<String> = numbers.iter().map(|(_, number)| number.to_string()).collect();
    let script = format!("{CALL}for n in [{}]: print(call(n,-1,-1,-1,-1,-1))", list.join(","));
    let errors = inside(&script);
    for ((name, _), errno) in numbers.iter().zip(errors.lines()) {
        assert_eq!(errno, "1", "{name}");
    }
    assert_eq!(errors.lines().count(), numbers.len());
    // Controls: with good arguments these work outside.
    let pairs = [
        (format!("{CALL}print(call({},0x10000000))", libc::SYS_unshare), "1"),
        (format!("{CALL}print(call({},0,0,0))", libc::SYS_clone3), "38"),
        ("import socket\ntry: socket.socket(17,3); print(0)\nexcept OSError as e: print(e.errno)".into(), "97"),
    ];
    for (script, errno) in pairs {
        assert_eq!(inside(&script), errno, "{script}");
        assert_ne!(outside(&script), errno, "control: {script}");
    }
}

#[test]
fn i9_host_files_are_out_of_sight() {
    let marker = tempfile::tempdir_in("/var/tmp").unwrap();
    let root = tempfile::tempdir_in("/root").unwrap();
    let list = format!(
        "import os\nfor p in ['/etc/shadow','/home','/root','/work','/sys/kernel','/var/lib','/mnt','/boot',{:?},{:?}]: print(int(os.path.exists(p)))",
        marker.path(),
        root.path(),
    );
    assert_eq!(inside(&list).replace('\n', ""), "0".repeat(10));
    assert!(outside(&list).contains('1'), "control");
    let top = inside("import os\nprint(' '.join(sorted(os.listdir('/'))))");
    assert_eq!(top, "bin dev etc lib lib64 opt proc sbin tmp usr var");
    let etc = inside("import os\nprint(sorted(os.listdir('/etc')))");
    assert!(!etc.contains("shadow") && etc.contains("passwd"), "{etc}");
}

#[test]
fn i9_only_tmp_and_shm_can_be_written() {
    let script = "import errno\n\
for p in ['/x','/var/task/x','/usr/x','/etc/passwd','/dev/x','/proc/sys/kernel/hostname','/proc/self/oom_score_adj','/tmp/x','/dev/shm/x','/dev/null']:\n\
\x20 try:\n\
\x20  open(p,'w').write('1'); print('ok')\n\
\x20 except OSError as e: print('no')";
    let answers = inside(script);
    let expected = [["no"; 7].as_slice(), ["ok"; 3].as_slice()].concat();
    assert_eq!(answers.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn i9_other_processes_are_invisible() {
    let script = "import os\nprint(len([p for p in os.listdir('/proc') if p.isdigit()]))";
    // Two inside: the first process, hidden or not, and the program.
    let count: usize = inside(script).parse().unwrap();
    assert!((1..=2).contains(&count), "{count} processes inside");
    assert!(outside(script).parse::<usize>().unwrap() > 3, "control");
}

#[test]
fn i9_the_first_process_cannot_be_touched() {
    let script = "def t(p,m):\n\
\x20 try: open(p,m); return 'open'\n\
\x20 except OSError: return 'closed'\n\
print(t('/proc/1/mem','r+b'), t('/proc/1/environ','rb'), t('/proc/self/environ','rb'))\n\
import os\n\
try: os.listdir('/proc/1/fd'); print('open')\n\
except OSError: print('closed')";
    assert_eq!(inside(script), "closed closed open\nclosed");
}

#[test]
fn i9_no_network_but_loopback() {
    let script = "import socket\nprint([n for _,n in socket.if_nameindex()])\n\
s=socket.socket()\n\
s.settimeout(2)\n\
try: s.connect(('198.51.100.1',80)); print(0)\n\
except OSError as e: print(e.errno)\n\
print(open('/etc/resolv.conf').read(), socket.gethostname(), socket.gethostbyname('sandbox.localdomain'))";
    let text = inside(script);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["['lo']", "101", " 169-254-100-1 127.0.0.1"]);
    let names = outside("import socket\nprint([n for _,n in socket.if_nameindex()])");
    assert_ne!(names, "['lo']", "control");
}

#[test]
fn descriptors_are_the_four_promised() {
    let script = "import os\nprint(sorted(int(f) for f in os.listdir('/proc/self/fd'))[:-1])";
    assert_eq!(inside(script), "[0, 1, 2, 3]");
}

#[test]
fn i9_sandboxes_do_not_share_scratch_or_ports() {
    run(async {
        let (code, spawner) = (code(), spawner());
        let script = "open('/tmp/secret','w').write('s'); import time; print('ready',flush=True); time.sleep(60)";
        let first = spec("first", code.path(), &[PYTHON, "-I", "-S", "-c", script]);
        let mut first = launch(&spawner, first).await;
        let mut ready = [0; 5];
        let stdout = first.take_stdout().unwrap();
        let stdout = tokio::task::spawn_blocking(move || {
            use std::io::Read;
            std::fs::File::from(stdout).read_exact(&mut ready).unwrap();
            ready
        });
        assert_eq!(&stdout.await.unwrap(), b"ready");
        // The first one's port is served, the second's is closed: its own answer differs.
        let listener = first.take_listener().unwrap();
        let script = "import os,socket\nprint(os.path.exists('/tmp/secret'))\n\
s=socket.create_connection(('127.0.0.1',9001)); s.settimeout(0.5)\n\
s.send(b'hello')\n\
try: print(s.recv(9))\nexcept OSError as e: print(type(e).__name__)";
        let second = spec("second", code.path(), &[PYTHON, "-I", "-S", "-c", script]);
        let (text, stderr, _) = outcome(&spawner, second).await;
        assert_eq!(text, "False\nTimeoutError\n", "{stderr}");
        // Nothing of that arrived at the first one's listener.
        let error = listener.accept().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        first.dispose().await;
    });
}
