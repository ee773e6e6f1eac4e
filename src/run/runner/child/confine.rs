//! What a run's process may take of the machine, set by itself before it reads anything of the script.

use std::io;

/// The process ends with its daemon; when memory is short, the system ends it before others.
#[cfg(target_os = "linux")]
pub(super) fn bind_to_parent(parent: u32) -> io::Result<()> {
    use nix::{
        sys::{prctl, signal::Signal},
        unistd::getppid,
    };
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before.
    if u32::try_from(getppid().as_raw()) != Ok(parent) {
        return Err(io::Error::other("its daemon has ended"));
    }
    Ok(())
}

/// Without the system's help the process ends when its standard input does.
#[cfg(not(target_os = "linux"))]
pub(super) fn bind_to_parent(_parent: u32) -> io::Result<()> {
    Ok(())
}

/// Limits the memory that the process may take beyond what it has: its address space, since the system has no other limit
/// that needs no privilege.
#[cfg(target_os = "linux")]
pub(super) fn limit_memory(bytes: u64) -> io::Result<()> {
    use crate::base::read_text;
    use nix::sys::resource::{Resource, setrlimit};
    /// The most that is read of the process's status, in bytes.
    const MAX_STATUS: u64 = 64 << 10;
    let status =
        read_text(std::path::Path::new("/proc/self/status"), MAX_STATUS).map_err(io::Error::other)?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let kib: u64 = size.and_then(|kib| kib.parse().ok()).unwrap_or_default();
    let limit = bytes.saturating_add(kib << 10);
    Ok(setrlimit(Resource::RLIMIT_AS, limit, limit)?)
}

/// This system has no such limit.
#[cfg(not(target_os = "linux"))]
pub(super) fn limit_memory(_bytes: u64) -> io::Result<()> {
    Ok(())
}
