//! The system call filter: everything is refused that the lists do not allow. Built
//! once per spawner as a search tree (a linear list of 300 numbers costs half a
//! millisecond at each start) and installed by the first process of a sandbox.
//! Not here: the lists themselves, see `calls`.

mod calls;

use libc::{sock_filter, sock_fprog};
use rustix::io::Errno;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// Numbers from here on are newer than the lists: `ENOSYS` lets programs fall back.
const FIRST_UNKNOWN: u32 = 463;
/// x32 calls on x86-64 carry this bit.
const X32: u32 = 0x4000_0000;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;

/// Low half of an argument; the kernel reads the checked ones as 32-bit integers.
const fn argument(index: u32) -> u32 {
    16 + index * 8
}

const fn refuse(errno: i32) -> u32 {
    ERRNO | errno as u32
}

/// What happens to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Return(u32),
    Clone,
    Socket,
    SocketPair,
    Personality,
    Ioctl,
}

#[derive(Clone, Debug)]
pub(crate) struct Filter(Vec<sock_filter>);

impl Filter {
    pub(crate) fn build() -> Filter {
        let mut code = vec![
            load(OFFSET_ARCH),
            jump(JUMP_EQUAL, ARCH, 1, 0),
            ret(KILL),
            load(OFFSET_NUMBER),
            jump(JUMP_AT_LEAST, X32, 0, 1),
            ret(KILL),
        ];
        code.extend(tree(&ranges()));
        Filter(code)
    }

    /// For the calling thread and its children, for ever. Needs `no_new_privs`.
    pub(crate) fn install(&self) -> Result<(), Errno> {
        let program = sock_fprog { len: self.0.len() as u16, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the kernel copies the program, which lives in `self` during the call.
        let done = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
        };
        if done == 0 { Ok(()) } else { Err(last_errno()) }
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: offset }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn ret(value: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: value }
}

/// The rule from each number up to the next entry, starting at 0.
fn ranges() -> Vec<(u32, Rule)> {
    let mut rules = vec![Rule::Return(refuse(libc::EPERM)); FIRST_UNKNOWN as usize];
    for &number in calls::ALLOWED {
        rules[number as usize] = Rule::Return(ALLOW);
    }
    for (number, rule) in [
        (libc::SYS_clone, Rule::Clone),
        (libc::SYS_clone3, Rule::Return(refuse(libc::ENOSYS))),
        (libc::SYS_socket, Rule::Socket),
        (libc::SYS_socketpair, Rule::SocketPair),
        (libc::SYS_personality, Rule::Personality),
        (libc::SYS_ioctl, Rule::Ioctl),
    ] {
        rules[number as usize] = rule;
    }
    let mut ranges: Vec<(u32, Rule)> = Vec::new();
    for (number, rule) in rules.into_iter().enumerate() {
        if ranges.last().map(|last| last.1) != Some(rule) {
            ranges.push((number as u32, rule));
        }
    }
    ranges.push((FIRST_UNKNOWN, Rule::Return(refuse(libc::ENOSYS))));
    ranges
}

/// A balanced search over sorted ranges. The number is in the accumulator.
fn tree(ranges: &[(u32, Rule)]) -> Vec<sock_filter> {
    if let [(_, rule)] = ranges {
        return leaf(*rule);
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let (below, from) = (tree(below), above[0].0);
    // A conditional jump reaches 255 instructions, an unconditional one all of them.
    let mut code = vec![
        jump(JUMP_AT_LEAST, from, 0, 1),
        sock_filter { code: 0x05, jt: 0, jf: 0, k: below.len() as u32 },
    ];
    code.extend(below);
    code.extend(tree(above));
    code
}

fn leaf(rule: Rule) -> Vec<sock_filter> {
    let (allow, forbid) = (ret(ALLOW), ret(refuse(libc::EPERM)));
    let namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    let family = ret(refuse(libc::EAFNOSUPPORT));
    match rule {
        Rule::Return(value) => vec![ret(value)],
        Rule::Clone => {
            vec![load(argument(0)), jump(JUMP_ANY_BIT, namespaces as u32, 0, 1), forbid, allow]
        }
        Rule::Socket => vec![
            load(argument(0)),
            jump(JUMP_EQUAL, libc::AF_UNIX as u32, 5, 0),
            jump(JUMP_EQUAL, libc::AF_INET as u32, 4, 0),
            jump(JUMP_EQUAL, libc::AF_INET6 as u32, 3, 0),
            // getifaddrs asks the routing table; other netlink families are refused.
            jump(JUMP_EQUAL, libc::AF_NETLINK as u32, 0, 3),
            load(argument(2)),
            jump(JUMP_EQUAL, libc::NETLINK_ROUTE as u32, 0, 1),
            allow,
            family,
        ],
        Rule::SocketPair => {
            vec![load(argument(0)), jump(JUMP_EQUAL, libc::AF_UNIX as u32, 0, 1), allow, family]
        }
        Rule::Personality => vec![
            load(argument(0)),
            jump(JUMP_EQUAL, 0, 1, 0),
            jump(JUMP_EQUAL, u32::MAX, 0, 1),
            allow,
            forbid,
        ],
        Rule::Ioctl => vec![
            load(argument(1)),
            jump(JUMP_EQUAL, libc::TIOCSTI as u32, 1, 0),
            jump(JUMP_EQUAL, 0x541c /* TIOCLINUX */, 0, 1),
            forbid,
            allow,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic BPF machine, as far as the filter uses it.
    fn run(filter: &Filter, arch: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut accumulator) = (0_usize, 0_u32);
        for _ in 0..10_000 {
            let step = filter.0[at];
            at += 1;
            let choose = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
            match step.code {
                LOAD => {
                    accumulator = match step.k {
                        OFFSET_NUMBER => number,
                        OFFSET_ARCH => arch,
                        offset => arguments[(offset as usize - 16) / 8],
                    };
                }
                JUMP_EQUAL => at += choose(accumulator == step.k),
                JUMP_AT_LEAST => at += choose(accumulator >= step.k),
                JUMP_ANY_BIT => at += choose(accumulator & step.k != 0),
                0x05 => at += step.k as usize,
                RETURN => return step.k,
                code => panic!("unknown instruction {code}"),
            }
        }
        panic!("the filter does not end");
    }

    #[test]
    fn each_call_meets_its_rule() {
        let filter = Filter::build();
        let ask = |number: i64, arguments| run(&filter, ARCH, number as u32, arguments);
        let none = [0; 6];
        for &number in calls::ALLOWED {
            assert_eq!(ask(number, none), ALLOW, "call {number}");
        }
        for number in [
            libc::SYS_mount,
            libc::SYS_ptrace,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_io_uring_setup,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_process_vm_readv,
            libc::SYS_open_by_handle_at,
            libc::SYS_pivot_root,
            libc::SYS_move_mount,
        ] {
            assert_eq!(ask(number, none), refuse(libc::EPERM), "call {number}");
        }
        assert_eq!(ask(libc::SYS_clone3, none), refuse(libc::ENOSYS));
        assert_eq!(ask(1000, none), refuse(libc::ENOSYS));
        assert_eq!(run(&filter, 0x4000_0003, 1, none), KILL, "32-bit");
        assert_eq!(ask(i64::from(X32 | 1), none), KILL, "x32");
    }

    #[test]
    fn arguments_are_judged() {
        let filter = Filter::build();
        let ask = |number: i64, a: [i32; 3]| {
            let arguments = [a[0] as u32, a[1] as u32, a[2] as u32, 0, 0, 0];
            run(&filter, ARCH, number as u32, arguments)
        };
        let (no, family) = (refuse(libc::EPERM), refuse(libc::EAFNOSUPPORT));
        let cases = [
            (libc::SYS_clone, [libc::SIGCHLD, 0, 0], ALLOW),
            (libc::SYS_clone, [libc::CLONE_VM | libc::CLONE_THREAD, 0, 0], ALLOW),
            (libc::SYS_clone, [libc::CLONE_NEWUSER, 0, 0], no),
            (libc::SYS_clone, [libc::CLONE_NEWNS | libc::SIGCHLD, 0, 0], no),
            (libc::SYS_socket, [libc::AF_UNIX, 1, 0], ALLOW),
            (libc::SYS_socket, [libc::AF_INET, 1, 6], ALLOW),
            (libc::SYS_socket, [libc::AF_INET6, 1, 0], ALLOW),
            (libc::SYS_socket, [libc::AF_NETLINK, 3, libc::NETLINK_ROUTE], ALLOW),
            (libc::SYS_socket, [libc::AF_NETLINK, 3, libc::NETLINK_NETFILTER], family),
            (libc::SYS_socket, [libc::AF_PACKET, 3, 0], family),
            (libc::SYS_socket, [libc::AF_VSOCK, 1, 0], family),
            (libc::SYS_socketpair, [libc::AF_UNIX, 1, 0], ALLOW),
            (libc::SYS_socketpair, [libc::AF_TIPC, 1, 0], family),
            (libc::SYS_personality, [-1, 0, 0], ALLOW),
            (libc::SYS_personality, [0, 0, 0], ALLOW),
            (libc::SYS_personality, [0x0040_0000, 0, 0], no),
            (libc::SYS_ioctl, [0, 0x5401, 0], ALLOW),
            (libc::SYS_ioctl, [0, libc::TIOCSTI as i32, 0], no),
            (libc::SYS_ioctl, [0, 0x541c, 0], no),
        ];
        for (number, arguments, expected) in cases {
            assert_eq!(ask(number, arguments), expected, "{number} {arguments:?}");
        }
    }
}
