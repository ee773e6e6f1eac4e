//! What a run's process may take of the machine, set by itself before it reads anything of the script.

#[cfg(target_os = "linux")]
use crate::{
    base::read_text,
    run::{execution::SCRIPT_THREAD, process_memory},
};
#[cfg(target_os = "linux")]
use rustix::process::{Pid, getpriority_process, setpriority_process};
use std::io;
#[cfg(target_os = "linux")]
use std::time::Duration;

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

/// The priority of a script's thread. The process's other threads keep that of the daemon: they may hold the lock of the
/// store, for which the daemon and other runs wait.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The priority of a script's thread that has used `BUSY` of processor time.
#[cfg(target_os = "linux")]
const NICE_WHEN_BUSY: i32 = 19;

/// In the ticks of `/proc`, a hundred a second.
#[cfg(target_os = "linux")]
const BUSY: u64 = 100;

#[cfg(target_os = "linux")]
const PRIORITY_POLL: Duration = Duration::from_millis(500);

/// Lets the daemon and runs that have just started go before scripts that compute without an end, which would keep them from
/// their time otherwise. Without this the run goes on as it is.
#[cfg(target_os = "linux")]
pub(super) async fn yield_processor() {
    loop {
        for (thread, used) in script_threads() {
            let nice = if used < BUSY { NICE } else { NICE_WHEN_BUSY };
            // The thread may have ended, and the daemon may have a lower priority already.
            if getpriority_process(Some(thread)).is_ok_and(|now| now < nice) {
                let _ = setpriority_process(Some(thread), nice);
            }
        }
        tokio::time::sleep(PRIORITY_POLL).await;
    }
}

/// This system has no priority of a thread.
#[cfg(not(target_os = "linux"))]
pub(super) async fn yield_processor() {}

/// Called by a script's thread while it computes: from a second of processor time on, it only gets what no other thread of
/// the machine wants (`SCHED_IDLE`). Sixty scripts that compute without an end would keep others waiting by their number
/// alone, even at the lowest priority.
#[cfg(target_os = "linux")]
pub(super) fn give_way() {
    use rustix::time::{ClockId, clock_gettime};
    use std::cell::Cell;
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    thread_local! {
        static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
    }
    if GIVES_WAY.get() || clock_gettime(ClockId::ThreadCPUTime).tv_sec < 1 {
        return;
    }
    GIVES_WAY.set(true);
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // The policy is set first. Then its priority, which has no effect in it and may not be raised.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
}

/// This system has no such policy.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_way() {}

/// The threads that run scripts, with the processor time that each has used.
#[cfg(target_os = "linux")]
fn script_threads() -> Vec<(Pid, u64)> {
    /// The most that is read of a thread's status, in bytes.
    const MAX_STAT: u64 = 4 << 10;
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads
        .filter_map(|thread| {
            let stat = read_text(&thread.path().join("stat"), MAX_STAT).ok()?;
            // `7 (script) R 1 …`: after the name the state is the third field, the times are the fourteenth and fifteenth.
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
            let mut times = rest.split(' ').skip(11).map_while(|ticks| ticks.parse::<u64>().ok());
            let used = times.next()? + times.next()?;
            let id = Pid::from_raw(thread.file_name().to_str()?.parse().ok()?)?;
            (name == SCRIPT_THREAD).then_some((id, used))
        })
        .collect()
}
