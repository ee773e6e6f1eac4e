//! What a person waits for in a session: from the start to the first prompt, and from a key to its echo with 200
//! functions declared and 10,000 lines of history.
//!
//! `cargo bench --bench repl` prints milliseconds (least, middle, 99th of a hundred, most), and the machine's load.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on may panic, and prints"
)]

use mpscript::base::Stopwatch;
use nix::pty::{Winsize, openpty};
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const STARTS: usize = 20;
const FUNCTIONS: usize = 200;
const LINES: usize = 10_000;
const WORDS: &str = "followers().filter(|u| u.qr_scene == 98765 && f7(u.sex) > 1).count()";
const ROUNDS: usize = 30;
const QUIET: Duration = Duration::from_millis(3);

/// The program at a terminal of its own.
struct Session {
    terminal: File,
    said: mpsc::Receiver<String>,
    child: Child,
}

impl Session {
    fn start(home: &Path) -> Self {
        let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_mpscript"))
            .args(["repl", "--sandbox"])
            .env_clear()
            .env("HOME", home)
            .env("TERM", "xterm-256color")
            .current_dir(home)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let terminal = File::from(pty.master);
        let (say, said) = mpsc::channel();
        let mut reader = terminal.try_clone().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 16_384];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if say.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { terminal, said, child }
    }

    /// Reads until this has come.
    fn read_until(&mut self, words: &str) {
        let mut all = String::new();
        while !all.contains(words) {
            all.push_str(&self.said.recv().unwrap());
        }
    }

    /// Reads until nothing comes any more.
    fn drain(&mut self) {
        while self.said.recv_timeout(QUIET).is_ok() {}
    }

    fn send(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "few"
        )]
        let at = ((times.len() - 1) as f64 * part).round() as usize;
        times[at]
    };
    println!(
        "{what}: {:.2} least, {:.2} middle, {:.2} 99th of a hundred, {:.2} most (ms, {} times)",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
}

fn main() {
    let home = tempfile::tempdir().unwrap();
    let milliseconds = |watch: &Stopwatch| watch.elapsed().as_secs_f64() * 1_000.0;
    let starts = (0..STARTS).map(|_| {
        let watch = Stopwatch::start();
        let mut session = Session::start(home.path());
        session.read_until("sandbox 1> ");
        milliseconds(&watch)
    });
    show("start to first prompt", starts.collect());

    let state = home.path().join(".local/state/mpscript");
    fs::create_dir_all(&state).unwrap();
    let history: String =
        (0..LINES).map(|line| format!("members({line}).take({line}).count()\n")).collect::<Vec<_>>().concat();
    fs::write(state.join("history"), format!("#V2\n{history}")).unwrap();
    let functions = (0..FUNCTIONS).map(|function| format!("fn f{function}(a) {{ a + {function} }}\n"));
    fs::write(home.path().join("functions.rhai"), functions.collect::<Vec<_>>().concat()).unwrap();
    let mut session = Session::start(home.path());
    session.read_until("sandbox 1> ");
    session.send(":load functions.rhai\r");
    session.read_until("sandbox 2> ");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        for key in WORDS.chars() {
            let watch = Stopwatch::start();
            session.send(&key.to_string());
            // A line is redrawn in one write.
            session.said.recv().unwrap();
            times.push(milliseconds(&watch));
            session.drain();
        }
        session.send("\u{3}");
        session.read_until("sandbox 2> ");
        session.drain();
    }
    show("key to its echo", times);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load: {}", load.trim());
}
