//! What a session runs in the background: a script that is rerun whenever it is saved, or a folder of automations. Each is a
//! process of its own, whose output appears above the line that is being typed, and which ends with the session.

use crate::{
    base::Stopwatch,
    cli::{args::TargetArgs, signals::interrupt},
    host::{Host, Stream},
};
use anyhow::Context;
use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// How long a process has to reach a checkpoint once the session ends.
const GRACE: Duration = Duration::from_secs(10);

/// The processes, each with the command that started it.
#[derive(Default)]
pub(super) struct Background(Vec<(String, Child)>);

impl Background {
    /// Starts `mpscript` with these arguments.
    pub(super) fn start(
        &mut self,
        host: &Host,
        title: &str,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.remove_ended();
        let mut command = Command::new(&host.program);
        command.args(arguments).envs(environment.iter().copied()).current_dir(&host.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A process group of its own, since Ctrl-C at the terminal is meant for the line.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().with_context(|| format!("can't start {}", host.program.display()))?;
        let name = arguments.get(1).map_or(title, String::as_str);
        forward(&host.out, name, child.stdout.take());
        forward(&host.err, name, child.stderr.take());
        self.0.push((title.to_owned(), child));
        Ok(())
    }

    /// The titles of the running processes.
    pub(super) fn titles(&mut self) -> Vec<String> {
        self.remove_ended();
        self.0.iter().map(|(title, _)| title.clone()).collect()
    }

    /// Stops every process, at its next checkpoint.
    pub(super) fn stop(&mut self) {
        self.0.iter().for_each(|(_, child)| interrupt(child));
        let since = Stopwatch::start();
        for (_, child) in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) && since.elapsed() < GRACE {
                thread::sleep(Duration::from_millis(10));
            }
            // Fails for a process that has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.0.clear();
    }

    fn remove_ended(&mut self) {
        self.0.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Forwards a process's output, with its name before each line.
fn forward(to: &Stream, name: &str, output: Option<impl Read + Send + 'static>) {
    let (to, name) = (to.clone(), name.to_owned());
    let Some(output) = output else { return };
    thread::spawn(move || {
        let lines = BufReader::new(output).split(b'\n');
        for line in lines.map_while(io::Result::ok) {
            to.line(&format!("[{name}] {}", String::from_utf8_lossy(&line)));
        }
    });
}

/// The arguments with which a process works on the session's account; `sandbox` is the address of the session's own
/// sandbox.
pub(super) fn as_arguments(target: &TargetArgs, sandbox: Option<&str>) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut add = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    for url in sandbox.into_iter().chain(target.base_url.iter().map(String::as_str)) {
        add("--base-url", url);
    }
    for (name, value) in [("--account", &target.account), ("--store", &target.store)] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    if let Some(config) = &target.config {
        add("--config", &config.display().to_string());
    }
    arguments
}
