//! What `mpscript serve` takes: from its start until all automations are live, from a save until the new version is, and
//! what it needs while nothing fires.
//!
//! `cargo bench --bench serve` prints the figures, and the machine's load. Nothing is called.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on may panic, and prints"
)]

use mpscript::base::Stopwatch;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};
use tempfile::TempDir;

const MANY: usize = 500;
const FEW: usize = 50;
const SAVES: usize = 40;
const IDLE: Duration = Duration::from_mins(1);

/// Ticks of the processor's clock in a second, as the kernel counts them for programs.
const TICKS: f64 = 100.0;

/// A daemon with its words, line by line.
struct Daemon {
    folder: TempDir,
    child: Child,
    said: Receiver<String>,
}

/// One that fires once a year.
fn automation(version: usize) -> String {
    format!(
        "//! Sweep the booth's followers.\n\
         const automation = #{{\n    on: [ #{{ cron: \"0 9 1 1 *\", tz: \"Asia/Shanghai\" }} ],\n    \
         params: #{{ scene: #{{ type: \"int\", init: {version}, help: \"QR scene id\" }} }},\n}};\n\
         fn run(ctx, p) {{\n    let report = followers().filter(|u| u.qr_scene == p.scene).tag(`QR ${{p.scene}}`);\n    \
         print(report);\n}}\n"
    )
}

fn save(folder: &Path, at: usize, version: usize) {
    let path = folder.join(format!("jobs/job{at:03}.rhai"));
    let beside = path.with_extension("new");
    fs::write(&beside, automation(version)).unwrap();
    fs::rename(&beside, &path).unwrap();
}

impl Daemon {
    /// One with so many automations, and how long it took until all were live.
    fn start(automations: usize) -> (Self, Duration) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("jobs")).unwrap();
        for at in 0..automations {
            save(folder.path(), at, 0);
        }
        let since = Stopwatch::start();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mpscript"))
            // Nothing listens there, and nothing is called.
            .args(["serve", "jobs", "--base-url", "http://127.0.0.1:9"])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("MPSCRIPT_APPID", "wx0123456789abcdef")
            .env("MPSCRIPT_SECRET", "a-secret-of-the-bench-only")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, said) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).all(|line| say.send(line).is_ok()));
        let mut daemon = Self { folder, child, said };
        daemon.wait_for_live(automations);
        (daemon, since.elapsed())
    }

    fn wait_for_live(&mut self, mut count: usize) {
        while count > 0 {
            count -= usize::from(self.said.recv().unwrap().ends_with(": live"));
        }
    }

    /// The processor's time that it has taken, in seconds.
    fn worked(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
    }

    /// A line of its status, in MiB.
    fn memory(&self, of: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(of)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Prints what it needs while nothing happens.
    fn idle(&self, automations: usize) {
        thread::sleep(Duration::from_secs(2));
        let (since, before) = (Stopwatch::start(), self.worked());
        thread::sleep(IDLE);
        let share = 100.0 * (self.worked() - before) / since.elapsed().as_secs_f64();
        let (now, most) = (self.memory("VmRSS:"), self.memory("VmHWM:"));
        println!("idle with {automations} automations, {} s", IDLE.as_secs());
        println!("  memory               {now:>8.1} MiB, {most:.1} at the most   (aim 40)");
        println!("  share of a processor {share:>8.2} %   (aim 0.5)");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It serves until it is ended; one that is gone already needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    println!("load of the machine: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let (many, took) = Daemon::start(MANY);
    println!("{MANY} automations live after {:.2} s   (aim 2)", took.as_secs_f64());
    many.idle(MANY);
    drop(many);
    let (mut few, _) = Daemon::start(FEW);
    let mut times: Vec<f64> = (1..=SAVES)
        .map(|version| {
            let since = Stopwatch::start();
            save(few.folder.path(), version % FEW, version);
            few.wait_for_live(1);
            let took = since.elapsed();
            thread::sleep(Duration::from_millis(300));
            took.as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (least, middle, most) = (times[0], times[SAVES / 2], times[SAVES - 1]);
    println!("from a save to its version being live, {SAVES} saves among {FEW} automations");
    println!("  least {least:.0}, middle {middle:.0}, most {most:.0} ms   (aim 300 in the middle)");
    few.idle(FEW);
}
