//! The memory of this process, as Linux reports it.

use crate::base::read_text;
use std::{io, path::Path};

/// The most that is read of the process's status, in bytes.
const MAX_STATUS: u64 = 64 << 10;

/// Its address space, in bytes.
pub(super) fn address_space() -> io::Result<u64> {
    size("VmSize:")
}

/// What of it is in memory, in bytes.
pub(super) fn resident() -> io::Result<u64> {
    size("VmRSS:")
}

fn size(name: &str) -> io::Result<u64> {
    let status = read_text(Path::new("/proc/self/status"), MAX_STATUS).map_err(io::Error::other)?;
    size_in(&status, name).ok_or_else(|| io::Error::other(format!("/proc/self/status has no {name} in kB")))
}

fn size_in(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_of_a_status_is_read_in_bytes() {
        assert_eq!(size_in("VmPeak:\t   20 kB\nVmSize:\t   12 kB\n", "VmSize:"), Some(12_288));
    }

    #[test]
    fn size_in_another_unit_is_not_read() {
        assert_eq!(size_in("VmSize:\t   12 MB\n", "VmSize:"), None);
    }
}
