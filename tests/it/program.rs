//! The real program in a folder of its own, with nothing of the surroundings in its environment.

use crate::support::Account;
use mpscript::{
    base::Secret,
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    store::Store,
};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A poll that takes longer is for something that never comes.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(2);

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) out: String,
    pub(crate) err: String,
    /// `None` after a signal.
    pub(crate) code: Option<i32>,
}

impl Finished {
    /// The run's standard output, after it went well and had nothing to complain of.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// The whole message of a run that failed with this code and printed nothing else.
    #[track_caller]
    pub(crate) fn failure(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        self.err
    }
}

/// A folder to run the program in.
pub(crate) struct Folder {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        Self { folder, environment: Vec::new() }
    }

    /// A folder with this as `script.rhai`.
    pub(crate) fn with(script: &str) -> Self {
        Self::new().file("script.rhai", script)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The environment of a sandbox's account.
    pub(crate) fn account(self) -> Self {
        self.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", DEFAULT_SECRET)
    }

    /// What `MPSCRIPT_STORE` names in its environment: a file in the folder, or a database.
    pub(crate) fn store_place(&self) -> &str {
        let named = self.environment.iter().find(|(name, _)| name == "MPSCRIPT_STORE");
        &named.expect("a store is named").1
    }

    pub(crate) async fn store(&self) -> Store {
        let place = self.store_place();
        let store = if place.starts_with("postgres://") {
            Store::postgres(&Secret::new(place)).await
        } else {
            Store::sqlite(&self.path().join(place)).await
        };
        store.expect("the store opens")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mpscript"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            // No configuration of the person who runs the tests.
            .env("HOME", self.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with_input(arguments, "")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        self.start_with_input(arguments, input).finish()
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with_input(arguments, "")
    }

    /// Starts it with more in its environment.
    pub(crate) fn start_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        Self::start_command(command, "")
    }

    fn start_with_input(&self, arguments: &[&str], input: &str) -> Running {
        Self::start_command(self.command(arguments), input)
    }

    fn start_command(mut command: Command, input: &str) -> Running {
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A program that needs no input may have gone before it is written.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        // Both pipes are read all along, so that neither fills up.
        let out = child.stdout.take().expect("standard output is a pipe");
        let err = child.stderr.take().expect("standard error is a pipe");
        Running { child: Some(child), out: Words::of(out), err: Words::of(err) }
    }

    /// The JSON in one of the folder's files.
    pub(crate) fn json(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.path().join(name)).expect("the file is there");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
    }
}

/// What a stream has said so far.
struct Words {
    said: Arc<Mutex<Vec<u8>>>,
    thread: thread::JoinHandle<()>,
}

impl Words {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let heard = Arc::clone(&said);
        let thread = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                heard.lock().expect("nobody panics with it").extend_from_slice(&bytes[..count]);
            }
        });
        Self { said, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().expect("nobody panics with it")).into_owned()
    }

    fn all(self) -> String {
        self.thread.join().expect("the pipe was read");
        let bytes = std::mem::take(&mut *self.said.lock().expect("nobody panics with it"));
        String::from_utf8(bytes).expect("the program writes UTF-8")
    }
}

/// The program under way.
pub(crate) struct Running {
    child: Option<Child>,
    out: Words,
    err: Words,
}

impl Running {
    /// Sends a signal: `INT` is what Ctrl-C sends.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .expect("there is a kill");
        assert!(sent.success(), "the program has ended before the signal");
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it has not been waited for").id()
    }

    /// What it has said so far on standard output.
    pub(crate) fn said(&self) -> String {
        self.out.so_far()
    }

    /// What it has said so far on standard error.
    pub(crate) fn told(&self) -> String {
        self.err.so_far()
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        let id = self.id();
        // One that has ended and has not been waited for is a zombie.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    /// Waits until standard output or standard error holds this.
    #[track_caller]
    pub(crate) fn wait_for(&self, words: &str) {
        self.wait_for_any(&[words]);
    }

    /// Waits until standard output or standard error holds one of these.
    #[track_caller]
    pub(crate) fn wait_for_any(&self, words: &[&str]) {
        let since = Instant::now();
        let is_in = |said: String| words.iter().any(|words| said.contains(words));
        while !is_in(self.out.so_far()) && !is_in(self.err.so_far()) {
            assert!(
                since.elapsed() < TIMEOUT,
                "no {words:?}: {:?} {:?}",
                self.out.so_far(),
                self.err.so_far()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end, and ends it if that does not come.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        let mut child = self.child.take().expect("it is waited for once");
        let since = Instant::now();
        let code = loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                break status.code();
            }
            if since.elapsed() > TIMEOUT {
                let _ = child.kill();
                panic!("it does not end: {:?} {:?}", self.out.so_far(), self.err.so_far());
            }
            thread::sleep(Duration::from_millis(2));
        };
        // Taken apart by hand, since a type that ends its child when dropped can't be moved out of.
        let nothing = || Words::of(std::io::empty());
        let (out, err) =
            (std::mem::replace(&mut self.out, nothing()), std::mem::replace(&mut self.err, nothing()));
        Finished { out: out.all(), err: err.all(), code }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a script against a sandbox in this process; gives what it printed and its report.
pub(crate) fn run_on(account: &Account, script: &str, arguments: &[&str]) -> (Finished, Value) {
    let folder = Folder::with(script).account();
    let url = format!("http://{}", account.address());
    let always = ["run", "script.rhai", "--base-url", &url, "--report", "report.json"];
    let finished = folder.run(&[&always, arguments].concat());
    let report = folder.json("report.json");
    assert_adds_up(&report);
    (finished, report)
}

/// A report's numbers add up, for the run and for each of its ends.
#[track_caller]
pub(crate) fn assert_adds_up(report: &Value) {
    let ends = report["ends"].as_array().expect("a report has ends");
    for report in ends.iter().chain([report]) {
        let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
        let failed = report["failed"].as_array().expect("failures are a list").len() as u64;
        assert_eq!(
            count("listed"),
            count("matched") + count("unmatched") + count("gone") + count("unread"),
            "{report}"
        );
        assert_eq!(
            count("matched"),
            count("changed") + count("already") + count("skipped") + failed,
            "{report}"
        );
    }
}

/// Some of a report's numbers, in this order.
pub(crate) fn counts<const N: usize>(report: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| match &report[name] {
        Value::Array(failed) => failed.len() as u64,
        count => count.as_u64().unwrap_or_else(|| panic!("no {name}: {report}")),
    })
}

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The message for a script that is refused before anything runs, without an account.
#[track_caller]
pub(crate) fn assert_refused(script: &str, expected: &str) {
    assert_message(&Folder::with(script), expected);
}

/// `run` and `check` say the same.
#[track_caller]
pub(crate) fn assert_message(folder: &Folder, expected: &str) {
    assert_eq!(folder.run(&["run", "script.rhai"]).failure(1), expected);
    assert_eq!(folder.run(&["check", "script.rhai"]).failure(1), expected);
}
