//! What a session has done in the background: a script that runs again whenever it is saved, or a folder of automations.
//! Each is a process of its own, whose words appear above the line that is typed, and which ends with the session.

use crate::{
    base::{Diagnostic, Stopwatch},
    cli::{Failure, args::arguments::Reach, commands::watch::interrupt},
    host::{Host, Stream},
};
use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// How long a process has to reach a place to go on from, once the session ends.
const GRACE: Duration = Duration::from_secs(10);

/// The processes, by what they were started with.
#[derive(Default)]
pub(crate) struct Background(Vec<(String, Child)>);

impl Background {
    /// Starts `mpscript` with these arguments.
    pub(crate) fn start(
        &mut self,
        host: &Host,
        title: &str,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> Result<(), Failure> {
        self.forget_ended();
        let mut command = Command::new(&host.program);
        command.args(arguments).envs(environment.iter().copied()).current_dir(&host.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C at the terminal is for the line.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| {
            let message = format!("can't start {}: {error}", host.program.display());
            Failure::usage(Diagnostic::new(message))
        })?;
        let name = arguments.get(1).map_or(title, String::as_str);
        tell(&host.out, name, child.stdout.take());
        tell(&host.err, name, child.stderr.take());
        self.0.push((title.to_owned(), child));
        Ok(())
    }

    /// What is under way.
    pub(crate) fn titles(&mut self) -> Vec<String> {
        self.forget_ended();
        self.0.iter().map(|(title, _)| title.clone()).collect()
    }

    /// Ends everything, each where it can be gone on with.
    pub(crate) fn stop(&mut self) {
        self.0.iter().for_each(|(_, child)| interrupt(child));
        let since = Stopwatch::start();
        for (_, child) in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) && since.elapsed() < GRACE {
                thread::sleep(Duration::from_millis(10));
            }
            // One that has ended can't be ended.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.0.clear();
    }

    fn forget_ended(&mut self) {
        self.0.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Passes a process's words on, with its name before each line.
fn tell(to: &Stream, name: &str, words: Option<impl Read + Send + 'static>) {
    let (to, name) = (to.clone(), name.to_owned());
    let Some(words) = words else { return };
    thread::spawn(move || {
        let lines = BufReader::new(words).split(b'\n');
        for line in lines.map_while(io::Result::ok) {
            to.line(&format!("[{name}] {}", String::from_utf8_lossy(&line)));
        }
    });
}

/// The arguments by which a process reaches what the session does; a sandbox of the session's own is at `sandbox`.
pub(crate) fn as_arguments(reach: &Reach, sandbox: Option<&str>) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut add = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    for url in sandbox.into_iter().chain(reach.base_url.iter().map(String::as_str)) {
        add("--base-url", url);
    }
    for (name, value) in [("--account", &reach.account), ("--store", &reach.store)] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    if let Some(config) = &reach.config {
        add("--config", &config.display().to_string());
    }
    arguments
}
