//! Ends a script that takes too much memory before the system ends its process: a thread looks at what the process takes while
//! the script runs, and the script ends with an error at its next operation.
//!
//! One operation of a script may copy a value, so it may get to twice the limit, or more. Only Linux says what a process takes;
//! without it there is no guard.

use crate::script::RunEnv;
use std::sync::Arc;

/// The memory that a script may take beyond what its process has when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// This many bytes, which a person has given.
    Given(u64),
    /// The half of what the machine and the process's control group have left when it starts, for a run.
    HalfOfAvailable,
    /// The fourth part of it, for a line of a session: its variables are copied, so that the line can be undone.
    QuarterOfAvailable,
    /// Three fourths of this many bytes, which is the most address space that the process gets.
    OfAddressSpace(u64),
}

impl MemoryLimit {
    /// What the command line gives: 0 for no limit, and `default` if it gives nothing.
    #[must_use]
    pub fn given(bytes: Option<u64>, default: Self) -> Option<Self> {
        match bytes {
            None => Some(default),
            Some(0) => None,
            Some(bytes) => Some(Self::Given(bytes)),
        }
    }
}

/// Watches the memory of this process as long as it is held.
pub(super) struct MemoryGuard {
    #[cfg(target_os = "linux")]
    _watch: Option<linux::Watch>,
}

impl MemoryGuard {
    /// Begins to watch, for the script that runs in this environment.
    #[cfg(target_os = "linux")]
    pub(super) fn start(limit: Option<MemoryLimit>, env: &Arc<RunEnv>) -> Self {
        Self { _watch: limit.and_then(|limit| linux::Watch::start(limit, env)) }
    }

    /// This system does not say what a process takes.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn start(_limit: Option<MemoryLimit>, _env: &Arc<RunEnv>) -> Self {
        Self {}
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::MemoryLimit;
    use crate::{
        base::{Diagnostic, Setting, read_text},
        run::process_memory,
        script::{RunEnv, ScriptFailure},
    };
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    use std::{
        io,
        path::{Path, PathBuf},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread::{self, JoinHandle},
        time::Duration,
    };

    /// Between two looks at memory that grows, below half of the limit.
    const GROWING: Duration = Duration::from_millis(20);

    /// Between two looks at memory that grows, from half of the limit on.
    const NEAR: Duration = Duration::from_millis(2);

    /// The most between two looks at memory that does not grow: there may be a hundred such processes.
    const AT_REST: Duration = Duration::from_millis(250);

    /// The least that a part of what is available is taken for: a script needs some memory on any machine.
    const MIN_SHARE: u64 = 64 << 20;

    /// The most that is read of a file about memory, in bytes.
    const MAX_TEXT: u64 = 64 << 10;

    /// A thread that looks at the memory until this is dropped.
    pub(super) struct Watch {
        ended: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    }

    impl Watch {
        /// `None` if the memory is not known, or there is no thread.
        pub(super) fn start(limit: MemoryLimit, env: &Arc<RunEnv>) -> Option<Self> {
            let most = bytes_of(limit)?;
            let before = taken(limit).ok()?;
            let ended = Arc::new(AtomicBool::new(false));
            let (seen, env) = (Arc::clone(&ended), Arc::clone(env));
            let watch = move || {
                let (mut last, mut interval) = (0, NEAR);
                while !seen.load(Ordering::Relaxed) {
                    // A look that fails tells nothing: the next one may not.
                    let by_script = taken(limit).map_or(last, |now| now.saturating_sub(before));
                    if by_script > most {
                        env.end_script(&too_much(limit, most, env.io.setting_names.of(Setting::RunMemory)));
                        return;
                    }
                    interval = if by_script <= last {
                        (interval * 2).min(AT_REST)
                    } else if by_script > most / 2 {
                        NEAR
                    } else {
                        GROWING
                    };
                    last = by_script;
                    thread::park_timeout(interval);
                }
            };
            let thread = thread::Builder::new().name("memory".to_owned()).spawn(watch).ok()?;
            Some(Self { ended, thread: Some(thread) })
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            self.ended.store(true, Ordering::Relaxed);
            if let Some(thread) = self.thread.take() {
                thread.thread().unpark();
                // It holds the environment of the script, which is dropped with it.
                let _ = thread.join();
            }
        }
    }

    /// `setting` is what the limit is called where it is set.
    fn too_much(limit: MemoryLimit, most: u64, setting: &str) -> ScriptFailure {
        let size = shown(most);
        let (of, more) = match limit {
            MemoryLimit::Given(_) => (setting.to_owned(), format!("give it more with {setting}")),
            MemoryLimit::HalfOfAvailable => (
                "half of what was available when it started".to_owned(),
                format!("give it more with {setting} SIZE"),
            ),
            MemoryLimit::QuarterOfAvailable => (
                "a quarter of what was available when the line started".to_owned(),
                format!("give lines more with {setting} SIZE"),
            ),
            MemoryLimit::OfAddressSpace(_) => {
                (format!("three quarters of {setting}"), format!("raise {setting} of mpscript serve"))
            }
        };
        let message = format!("the script has taken more than {size} of memory, {of}");
        let hint = format!("does a value grow without end? keep less of it at a time, or {more}");
        ScriptFailure::in_script(Diagnostic::new(message).hint(hint))
    }

    /// A size in whole mebibytes, or in bytes below one.
    fn shown(bytes: u64) -> String {
        match bytes >> 20 {
            0 => format!("{bytes} bytes"),
            mebibytes => format!("{mebibytes} MiB"),
        }
    }

    fn bytes_of(limit: MemoryLimit) -> Option<u64> {
        match limit {
            MemoryLimit::Given(bytes) => Some(bytes),
            MemoryLimit::OfAddressSpace(bytes) => Some(bytes / 4 * 3),
            MemoryLimit::HalfOfAvailable => available().map(|bytes| (bytes / 2).max(MIN_SHARE)),
            MemoryLimit::QuarterOfAvailable => available().map(|bytes| (bytes / 4).max(MIN_SHARE)),
        }
    }

    /// What this process takes of what is limited: its address space, or what of it is in memory.
    fn taken(limit: MemoryLimit) -> io::Result<u64> {
        match limit {
            MemoryLimit::OfAddressSpace(_) => process_memory::address_space(),
            MemoryLimit::Given(_) | MemoryLimit::HalfOfAvailable | MemoryLimit::QuarterOfAvailable => {
                process_memory::resident()
            }
        }
    }

    /// How many bytes can be taken before the system runs out of memory.
    fn available() -> Option<u64> {
        let machine = read_text(Path::new("/proc/meminfo"), MAX_TEXT).ok().and_then(|text| {
            let kib = field(&text, "MemAvailable:")?;
            Some(kib << 10)
        });
        let groups = control_groups().into_iter().filter_map(|group| group.left());
        machine.into_iter().chain(groups).chain(address_space_left()).min()
    }

    /// What a limit of the address space (`ulimit -v`) leaves.
    fn address_space_left() -> Option<u64> {
        let (limit, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
        let used = process_memory::address_space().ok()?;
        (limit != RLIM_INFINITY).then(|| limit.saturating_sub(used))
    }

    /// The number of a line `NAME NUMBER`.
    fn field(text: &str, name: &str) -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// A control group whose memory may be limited, with the names of its files in its version.
    struct ControlGroup {
        folder: PathBuf,
        limit: &'static str,
        used: &'static str,
        /// What of it the system gives up when memory is short.
        cache: &'static str,
    }

    impl ControlGroup {
        const fn of_version_2(folder: PathBuf) -> Self {
            Self { folder, limit: "memory.max", used: "memory.current", cache: "inactive_file " }
        }

        const fn of_version_1(folder: PathBuf) -> Self {
            let (limit, used) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
            Self { folder, limit, used, cache: "total_inactive_file " }
        }

        /// What its limit leaves; `None` without a limit.
        fn left(&self) -> Option<u64> {
            let read = |file: &str| read_text(&self.folder.join(file), MAX_TEXT).ok();
            let limit: u64 = read(self.limit)?.trim().parse().ok()?;
            let used: u64 = read(self.used)?.trim().parse().ok()?;
            let cache = read("memory.stat").and_then(|text| field(&text, self.cache)).unwrap_or_default();
            Some(limit.saturating_sub(used.saturating_sub(cache)))
        }
    }

    /// The control groups of this process, each with those that it is in.
    fn control_groups() -> Vec<ControlGroup> {
        let own = read_text(Path::new("/proc/self/cgroup"), MAX_TEXT).unwrap_or_default();
        let mut groups = Vec::new();
        for line in own.lines() {
            let mut parts = line.splitn(3, ':');
            let (_, Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let of: fn(PathBuf) -> ControlGroup = match controllers {
                "" => ControlGroup::of_version_2,
                of_memory if of_memory.split(',').any(|name| name == "memory") => ControlGroup::of_version_1,
                _ => continue,
            };
            let root = Path::new("/sys/fs/cgroup").join(if controllers.is_empty() { "" } else { "memory" });
            // In a container the path may be one of the host's, of which only the root is seen.
            let path = Path::new(path.trim_start_matches('/'));
            groups.extend(path.ancestors().map(|group| of(root.join(group))));
        }
        groups
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::fs;

        #[test]
        fn control_group_leaves_its_limit_without_what_is_used_and_no_cache() {
            let folder = tempfile::tempdir().expect("there is room for a folder");
            let write = |file: &str, text: &str| {
                fs::write(folder.path().join(file), text).expect("a file can be written");
            };
            let group = ControlGroup::of_version_2(folder.path().to_owned());
            assert_eq!(group.left(), None);
            write("memory.current", "700\n");
            write("memory.max", "max\n");
            assert_eq!(group.left(), None);
            write("memory.max", "1000\n");
            assert_eq!(group.left(), Some(300));
            write("memory.stat", "anon 1\ninactive_file 200\n");
            assert_eq!(group.left(), Some(500));
        }
    }
}
