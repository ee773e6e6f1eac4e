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

/// Limits the process's memory.
#[cfg(unix)]
pub(super) fn limit_memory(bytes: u64) -> io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    Ok(setrlimit(Resource::RLIMIT_AS, bytes, bytes)?)
}

/// This system has no such limit.
#[cfg(not(unix))]
pub(super) fn limit_memory(_bytes: u64) -> io::Result<()> {
    Ok(())
}
