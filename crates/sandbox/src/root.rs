//! The file system of a sandbox: a small read-only root, the host's system directories
//! and the function's own read-only over it, fresh `/proc`, minimal `/dev`, limited
//! `/tmp`. Runs in the first process, in its own mount namespace, as the sandbox's user.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{DirBuilderExt, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
        mount_bind, mount_change, move_mount, open_tree, unmount,
    },
};

use crate::{
    limits::{ROOT_BYTES_MAX, SCRATCH_BYTES_PER_INODE, SCRATCH_INODES_MIN, SHM_BYTES_MAX},
    rights::USER,
    spec::Spec,
};

/// Shown as they are on the host: mounted if a directory, copied if a link.
const SYSTEM: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32"];
/// The part of `/etc` that programs need and that tells nothing about the host.
const ETC: [&str; 5] = [
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls",
    "/etc/alternatives",
];
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
const PROC_MASKED: [&str; 9] = [
    "kcore",
    "keys",
    "key-users",
    "kallsyms",
    "kmsg",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "sysrq-trigger",
];
const PROC_READ_ONLY: [&str; 4] = ["sys", "bus", "fs", "irq"];

/// A detached copy of a host directory or file, and where it goes.
#[derive(Debug)]
struct Tree {
    mount: OwnedFd,
    directory: bool,
    target: PathBuf,
}

/// Everything taken from the host, opened while its paths are still visible.
#[derive(Debug)]
pub(crate) struct Sources {
    trees: Vec<Tree>,
    links: Vec<(PathBuf, PathBuf)>,
}

impl Sources {
    pub(crate) fn open(spec: &Spec) -> io::Result<Sources> {
        let mut sources = Sources { trees: Vec::new(), links: Vec::new() };
        for path in SYSTEM.into_iter().chain(ETC).map(Path::new) {
            match fs::symlink_metadata(path) {
                Ok(found) if found.is_symlink() => {
                    sources.links.push((path.to_owned(), fs::read_link(path)?));
                }
                Ok(_) => sources.add(path, path)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        sources.add(&spec.code, Path::new("/var/task"))?;
        for (source, target) in [(&spec.runtime, "/var/runtime"), (&spec.opt, "/opt")] {
            source.as_deref().map_or(Ok(()), |path| sources.add(path, Path::new(target)))?;
        }
        for bind in &spec.binds {
            sources.add(&bind.source, &bind.target)?;
        }
        Ok(sources)
    }

    fn add(&mut self, source: &Path, target: &Path) -> io::Result<()> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let mount = open_tree(CWD, source, flags)?;
        let directory = fs::metadata(source)?.is_dir();
        self.trees.push(Tree { mount, directory, target: target.to_owned() });
        Ok(())
    }
}

/// Builds the root and makes it the only thing visible.
pub(crate) fn enter(sources: &Sources, spec: &Spec, scratch: Option<&OwnedFd>) -> io::Result<()> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // Any directory will do: it is hidden in this namespace only, and only for us.
    let base = Path::new("/tmp");
    tmpfs(base, MountFlags::NODEV, &format!("mode=0755,size={ROOT_BYTES_MAX}"))?;
    rustix::process::chdir(base)?;
    for directory in
        ["proc", "dev", "tmp", "etc", "etc/ssl", "var", "var/task", "var/runtime", "opt"]
    {
        fs::create_dir(directory)?;
    }
    write_etc(&spec.hostname)?;
    for (link, target) in &sources.links {
        symlink(target, below(link))?;
    }
    for tree in &sources.trees {
        place(tree)?;
    }
    build_dev()?;
    build_proc()?;
    build_tmp(spec.scratch_bytes, scratch)?;
    // The new root is stacked over the old one, which is then detached.
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    let root = open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    set_attributes(&root, libc::MOUNT_ATTR_RDONLY, 0)?;
    Ok(())
}

fn below(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn tmpfs(target: &Path, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    mount("tmpfs", target, "tmpfs", flags | MountFlags::NOSUID, options.as_c_str())?;
    Ok(())
}

fn place(tree: &Tree) -> io::Result<()> {
    let target = below(&tree.target);
    if !target.exists() {
        let parent = if tree.directory { Some(target) } else { target.parent() };
        if let Some(directory) = parent {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        if !tree.directory {
            fs::File::create(target)?;
        }
    }
    let read_only = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set_attributes(&tree.mount, read_only, libc::AT_RECURSIVE)?;
    move_mount(&tree.mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

fn set_attributes(mount: &impl AsFd, set: u64, recursive: i32) -> Result<(), Errno> {
    let attr = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is an empty C string and `attr` is valid for its whole size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

fn write_etc(hostname: &str) -> io::Result<()> {
    let passwd = format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         sbx_user1051:x:{USER}:{USER}::/tmp:/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    );
    let group = format!("root:x:0:\nsbx_user1051:x:{USER}:\nnogroup:x:65534:\n");
    let hosts = "127.0.0.1 localhost sandbox.localdomain sandbox\n";
    let services = "passwd: files\ngroup: files\nhosts: files dns\n";
    for (name, text) in [
        ("etc/passwd", passwd.as_str()),
        ("etc/group", group.as_str()),
        ("etc/hosts", hosts),
        ("etc/hostname", &format!("{hostname}\n")),
        ("etc/resolv.conf", ""),
        ("etc/nsswitch.conf", services),
    ] {
        fs::write(name, text)?;
    }
    symlink("/usr/share/zoneinfo/UTC", "etc/localtime")
}

/// Devices are bound from the host: a user namespace cannot make nodes.
fn build_dev() -> io::Result<()> {
    let dev = Path::new("dev");
    tmpfs(dev, MountFlags::NOEXEC, "mode=0755,size=64k")?;
    for device in DEVICES {
        let target = dev.join(device);
        fs::File::create(&target)?;
        mount_bind(Path::new("/dev").join(device), &target)?;
    }
    for (link, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(link))?;
    }
    fs::create_dir(dev.join("shm"))?;
    let tree = open_tree(CWD, dev, OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    set_attributes(&tree, libc::MOUNT_ATTR_RDONLY, 0)?;
    let shm = format!("mode=1777,size={SHM_BYTES_MAX},nr_inodes=1024");
    tmpfs(&dev.join("shm"), MountFlags::NODEV | MountFlags::NOEXEC, &shm)
}

fn build_tmp(bytes: u64, scratch: Option<&OwnedFd>) -> io::Result<()> {
    let tmp = Path::new("tmp");
    if let Some(mount) = scratch {
        move_mount(mount, "", CWD, tmp, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        return Ok(());
    }
    let inodes = (bytes / SCRATCH_BYTES_PER_INODE).max(SCRATCH_INODES_MIN);
    tmpfs(tmp, MountFlags::NODEV, &format!("mode=1777,size={bytes},nr_inodes={inodes}"))
}

fn build_proc() -> io::Result<()> {
    let proc = Path::new("proc");
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", proc, "proc", flags, c"hidepid=2")?;
    for name in PROC_MASKED.map(|name| proc.join(name)) {
        if name.exists() {
            mount_bind("/dev/null", &name)?;
        }
    }
    for name in PROC_READ_ONLY.map(|name| proc.join(name)).into_iter().filter(|n| n.exists()) {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, &name, flags)?;
        set_attributes(&tree, libc::MOUNT_ATTR_RDONLY, 0)?;
        move_mount(&tree, "", CWD, &name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    Ok(())
}
