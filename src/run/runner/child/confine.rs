//! What a run's process may take of the machine, set by itself before it reads anything of the script.

#[cfg(target_os = "linux")]
use crate::run::process_memory;
use std::{io, sync::OnceLock, time::Duration};

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
    use nix::sys::resource::{Resource, setrlimit};
    let limit = bytes.saturating_add(process_memory::address_space()?);
    Ok(setrlimit(Resource::RLIMIT_AS, limit, limit)?)
}

/// This system has no such limit.
#[cfg(not(target_os = "linux"))]
pub(super) fn limit_memory(_bytes: u64) -> io::Result<()> {
    Ok(())
}

/// The priority of a script's thread when it starts. The process's other threads keep that of the daemon: they may hold the
/// lock of the store, for which the daemon and other runs wait.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The lowest priority that is not a policy of its own.
#[cfg(target_os = "linux")]
const LOWEST_NICE: i32 = 19;

/// The processor time that the script's thread uses at `NICE`.
static TIME_AT_NICE: OnceLock<Duration> = OnceLock::new();

/// The script of this process gives way to all other threads once it has used this much processor time.
pub(super) fn give_way_after(used: Duration) {
    // It has one order.
    let _ = TIME_AT_NICE.set(used);
}

/// Called by the script's thread when it starts and while it computes: it runs at a lower priority than the daemon, and once
/// it has used the time of `give_way_after`, it only gets what no other thread of the machine wants (`SCHED_IDLE`). Sixty
/// scripts that compute without an end would keep others waiting by their number alone, even at the lowest priority. What the
/// system refuses leaves the thread as it was.
#[cfg(target_os = "linux")]
pub(super) fn give_way() {
    use rustix::{
        process::{getpriority_process, setpriority_process},
        time::{ClockId, clock_gettime},
    };
    use std::cell::Cell;
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    #[derive(Clone, Copy)]
    enum Priority {
        OfProcess,
        Nice,
        Idle,
    }
    thread_local! {
        static PRIORITY: Cell<Priority> = const { Cell::new(Priority::OfProcess) };
    }
    match PRIORITY.get() {
        Priority::OfProcess => {
            // Without an id it is this thread. The daemon may have a lower priority already.
            if getpriority_process(None).is_ok_and(|now| now < NICE) {
                let _ = setpriority_process(None, NICE);
            }
            PRIORITY.set(Priority::Nice);
        }
        Priority::Nice => {
            let used = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime));
            if used.ok().is_some_and(|used| TIME_AT_NICE.get().is_some_and(|time| used >= *time)) {
                let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
                let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
                // For a system that refuses the policy. The call before sets a priority that has no effect in it.
                let _ = setpriority_process(None, LOWEST_NICE);
                PRIORITY.set(Priority::Idle);
            }
        }
        Priority::Idle => {}
    }
}

/// This system has no such policies.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_way() {}
