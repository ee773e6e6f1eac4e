//! What is in `deploy/` fits the program that it starts.

use crate::{
    daemon::metrics::measured,
    fixtures::{
        prerequisites::missing,
        program::{Folder, project},
        sandbox_process::SandboxProcess,
    },
};
use std::{
    fs,
    process::{Command, Stdio},
};

/// Whether there is a systemd to ask.
pub(crate) fn is_there() -> bool {
    let asked = Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

fn text(name: &str) -> String {
    fs::read_to_string(project(name)).expect("it is there")
}

/// The program understands these words, up to the folder, which is not here.
#[track_caller]
fn assert_understood(words: &[&str], folder: &str) {
    let printed = Folder::new().account().run(words);
    assert!(
        printed.code == Some(2) && printed.err.contains(&format!("{folder} is not a folder")),
        "{}",
        printed.err
    );
}

#[test]
fn systemd_unit_is_valid_and_starts_the_program() {
    let unit = text("deploy/mpscript.service");
    let joined = unit.replace("\\\n", " ");
    let start = joined.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/mpscript "));
    let words: Vec<&str> = start.expect("it starts the program").split_whitespace().collect();
    assert_understood(&words, "/etc/mpscript/automations");
    if !is_there() {
        return missing("systemd");
    }
    let here = unit.replace("/usr/local/bin/mpscript", env!("CARGO_BIN_EXE_mpscript"));
    let folder = Folder::new().file("mpscript.service", here);
    let mut command = Command::new("systemd-analyze");
    let verified = command.args(["verify", "--man=no"]).arg(folder.path().join("mpscript.service")).output();
    let verified = verified.expect("it was looked for");
    let shown = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && shown.is_empty(), "{shown}");
}

#[test]
fn systemd_unit_bounds_memory_tasks_and_core_dumps() {
    let unit = text("deploy/mpscript.service");
    let has = |line: &str| unit.lines().any(|other| other == line);
    assert!(["MemoryMax=2G", "OOMPolicy=continue", "TasksMax=1024", "LimitCORE=0"].into_iter().all(has));
    assert!(text("deploy/Dockerfile").contains("--memory 2g --pids-limit 1024 --ulimit core=0"));
}

/// The words of a list in the container's file.
fn list(file: &str, begins: &str) -> Vec<String> {
    let line = file.lines().find_map(|line| line.strip_prefix(begins)).expect("it is there");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn dockerfile_copies_existing_files_and_checks_health() {
    let file = text("deploy/Dockerfile");
    for copied in file.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let (from, _) = copied.rsplit_once(' ').expect("a place to copy to");
        for from in from.split(' ').filter(|_| !copied.starts_with("--")) {
            assert!(project(from).exists(), "{from}");
        }
    }
    // Those are all that the program is built from.
    let sources = ["Cargo.toml", "Cargo.lock", "src", "stdlib", "benches"];
    assert!(sources.iter().all(|source| file.contains(source)));
    let words = list(&file, "CMD ");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(list(&file, "ENTRYPOINT "), ["mpscript"]);
    assert_understood(&words, "/automations");
    let health = list(&file, "HEALTHCHECK --start-period=30s CMD ");
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/plain.rhai", "print(1)");
    let (daemon, place) = measured(&folder, &sandbox);
    let (_, port) = place.rsplit_once(':').expect("an address has a port");
    let is_well = || {
        let script = health[2].replace("9464", port);
        let mut command = Command::new(&health[0]);
        command.args([&health[1], &script]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("there is a bash").success()
    };
    assert!(is_well());
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
    assert!(!is_well());
}
