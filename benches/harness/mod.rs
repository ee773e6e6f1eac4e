//! What the benches of a whole job share: a sandbox in a process of its own, and a run of the program against it.

use serde_json::Value;
use std::{
    error::Error,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mpscript");
pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "a-secret-of-the-bench-only";

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A stand-alone sandbox.
pub(crate) struct Sandbox {
    process: Child,
    pub(crate) url: String,
}

impl Sandbox {
    /// Starts one with so many followers; `more` are further arguments.
    pub(crate) fn start(followers: u32, latency: &str, more: &[String]) -> Outcome<Self> {
        let mut process = Command::new(PROGRAM)
            .args(["sandbox", "--followers", &followers.to_string(), "--latency", latency])
            .args(["--appid", APPID, "--secret", SECRET])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let out = process.stdout.take().ok_or("the sandbox has no standard output")?;
        BufReader::new(out).read_line(&mut line)?;
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { process, url })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It serves until it is ended; one that is gone already needs no ending.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The most memory that a process had at once (`VmHWM`), in KiB; 0 where the system does not say.
pub(crate) fn peak(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}

/// What one run of the program took.
pub(crate) struct Job {
    pub(crate) seconds: f64,
    pub(crate) peak_kib: u32,
    pub(crate) report: Value,
}

impl Job {
    /// Runs `mpscript run` with these arguments against a sandbox.
    pub(crate) fn run(sandbox: &Sandbox, arguments: &[impl AsRef<OsStr>]) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let report = folder.path().join("report.json");
        let begin = Instant::now();
        let mut process = Command::new(PROGRAM)
            .arg("run")
            .args(arguments)
            .args(["--quiet", "--base-url", &sandbox.url, "--report"])
            .arg(&report)
            .env("MPSCRIPT_APPID", APPID)
            .env("MPSCRIPT_SECRET", SECRET)
            // The run's journal and the day's counts: not among those of the user who runs this.
            .env("XDG_STATE_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        // The kernel keeps the highest mark, so a look now and then misses only the last moment.
        let mut peak_kib = 0;
        let status = loop {
            peak_kib = peak_kib.max(peak(process.id()));
            match process.try_wait()? {
                Some(status) => break status,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        let seconds = begin.elapsed().as_secs_f64();
        if !status.success() {
            return Err(format!("the job ended with {status}").into());
        }
        let report = serde_json::from_str(&fs::read_to_string(report)?)?;
        Ok(Self { seconds, peak_kib, report })
    }
}
