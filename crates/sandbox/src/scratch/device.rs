//! From an image to a mount that is in no namespace yet: loop device, file system
//! options, detached mount. Device and image live exactly as long as the mount.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen,
    },
};

use super::{NoDisk, ScratchStep, image::BLOCK_BYTES};
use crate::limits::LOOP_TRIES_MAX;

const CONTROL: &str = "/dev/loop-control";
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
/// The device is given back when its last user, the mount, is gone.
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Files inside are cached once, as the sandbox's own, and not again as the image.
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_config` with its `struct loop_info64` flattened.
#[repr(C)]
struct LoopConfig {
    image: u32,
    block_bytes: u32,
    numbers: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names_and_key: [u8; 160],
    init: [u64; 2],
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopConfig>() == 304, "the kernel's layout");

/// Whether this host has what `mount` uses.
pub(super) fn look() -> Result<(), NoDisk> {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.lines().any(|line| line.split_whitespace().last() == Some("ext4")) {
        return Err(ScratchStep::Mount.failed()(Errno::NODEV));
    }
    rustix::fs::stat(Path::new(CONTROL)).map(|_| ()).map_err(ScratchStep::Device.failed())
}

pub(super) fn mount(image: &File) -> Result<OwnedFd, NoDisk> {
    let (path, device) = attach(image).map_err(ScratchStep::Device.failed())?;
    let mount = mount_device(&path).map_err(ScratchStep::Mount.failed())?;
    drop(device);
    Ok(mount)
}

fn attach(image: &File) -> io::Result<(String, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let control = openat(CWD, CONTROL, flags, Mode::empty())?;
    for _ in 0..LOOP_TRIES_MAX {
        // SAFETY: the call takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = format!("/dev/loop{number}");
        let device = openat(CWD, path.as_str(), flags, Mode::empty())?;
        match configure(&device, image) {
            Ok(()) => return Ok((path, device)),
            // Another process was given the same free device and came first.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

fn configure(device: &OwnedFd, image: &File) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `LoopConfig`.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.image = image.as_fd().as_raw_fd().cast_unsigned();
    config.block_bytes = BLOCK_BYTES as u32;
    config.flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    // SAFETY: the kernel reads one `loop_config`, which lives during the call.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn mount_device(path: &str) -> Result<OwnedFd, Errno> {
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", path)?;
    // Unused inode tables are holes of the image, which read as zero already.
    fsconfig_set_flag(context.as_fd(), "noinit_itable")?;
    // Scratch need not survive the host: no `fsync` inside reaches the disk's cache.
    fsconfig_set_flag(context.as_fd(), "nobarrier")?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
