//! The README is true: its commands are run and print what it says, its scripts run.

use crate::fixtures::{program::Folder, sandbox_process::SandboxProcess, terminal::Terminal};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(top().join("README.md")).unwrap()
}

/// The texts of the README's blocks of this kind, in order.
fn blocks(kind: &str) -> Vec<String> {
    let readme = readme();
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{kind}") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(block.join("\n") + "\n");
        }
    }
    blocks
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mpscript"));
    command.args(arguments).current_dir(folder);
    // Not into the records of the user who runs the tests.
    command.env_remove("HOME").env_remove("XDG_STATE_HOME").env_remove("MPSCRIPT_STORE");
    command.output().unwrap()
}

/// Times differ from run to run.
fn without_time(text: &str) -> String {
    let line = |line: &str| match line.split_once(": done in ") {
        Some((before, _)) => format!("{before}: done in TIME"),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn main_command_prints_what_the_readme_shows() {
    let first = &blocks("console")[0];
    let (command, printed) = first
        .split_once("$ cargo run --release -- ")
        .and_then(|(_, rest)| rest.split_once('\n'))
        .expect("the first block has the main command");
    let output = run(&command.split(' ').collect::<Vec<_>>(), &top());
    assert_eq!(without_time(&String::from_utf8(output.stdout).unwrap()), without_time(printed));
    assert!(output.status.success());
}

#[test]
fn first_script_block_of_the_readme_runs() {
    let output = run(&["run", "-e", &blocks("rhai")[0], "--sandbox"], &top());
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("tag `QR 98765`: done in "));
}

#[test]
fn first_script_prints_what_the_readme_shows() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("first.rhai"), &blocks("rhai")[1]).unwrap();
    let output = run(&["run", "first.rhai", "--sandbox"], folder.path());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), blocks("text")[0]);
}

#[test]
fn repl_session_matches_the_readme() {
    let block =
        blocks("text").into_iter().find(|block| block.contains("mpscript repl")).expect("it is there");
    let (_, expected) = block.split_once('\n').expect("the first line starts it");
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    let mut number = 1;
    for line in expected.lines() {
        let prompt = format!("sandbox {number}> ");
        if let Some(line) = line.strip_prefix(&prompt) {
            terminal.ends_with(prompt.trim_end());
            terminal.line(line);
            number += usize::from(!line.starts_with(':'));
        }
    }
    terminal.ends_with(&format!("booth.rhai\nsandbox {number}>"));
    let screen = terminal.screen();
    // How long something took differs from machine to machine.
    let is_time = |line: &&str| line.contains(" s, ") && line.ends_with(" calls");
    let lines: Vec<&str> = screen.lines().filter(|line| !is_time(line)).collect();
    assert_eq!(lines[..lines.len() - 1].join("\n"), expected.trim_end());
}

#[test]
fn misspelt_field_message_matches_the_readme() {
    let block = &blocks("console")[1];
    let (_, message) = block.split_once('\n').unwrap();
    let script = "followers().filter(|u| u.qr_scen == 1).count()";
    assert!(block.contains(script));
    let output = run(&["run", "-e", script, "--sandbox"], &top());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), message);
}

#[test]
fn readme_automation_passes_check_and_runs() {
    let block =
        blocks("rhai").into_iter().find(|block| block.contains("const automation")).expect("it is there");
    let folder = Folder::new().file("automations/booth.rhai", block);
    let checked = folder.run(&["check", "automations/"]).success();
    assert!(checked.contains("cron 0 9 * * 1-5 (Asia/Shanghai)"), "{checked}");
    let run = folder.run(&["run", "automations/booth.rhai", "--sandbox", "--quiet", "--param", "scene=5"]);
    assert!(run.out.ends_with(": 0\n"), "{}", run.out);
}

#[test]
fn every_script_has_a_head_and_passes_check() {
    let scripts: Vec<PathBuf> = ["scripts", "scripts/automations"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(top().join(folder)).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    let scripts: Vec<PathBuf> =
        scripts.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rhai")).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        assert!(
            fs::read_to_string(&script).unwrap().starts_with("//! "),
            "{} says what it does",
            script.display()
        );
        let output = run(&["check", &script.display().to_string()], &top());
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn readme_configuration_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mpscript.toml"), &blocks("toml")[0]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mpscript"))
        .args(["run", "-e", "tag::list()", "--base-url", "http://127.0.0.1:9"])
        .current_dir(folder.path())
        .env("MPSCRIPT_STORE", "store.sqlite3")
        .env_remove("MPSCRIPT_APPID")
        .env_remove("MPSCRIPT_SECRET")
        .env_remove("SHOP_SECRET")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        error,
        "error: the environment variable SHOP_SECRET of account `shop` is not set\n  hint: set it to the AppSecret\n"
    );
}

#[test]
fn readme_commands_for_runs_work() {
    let block = blocks("console").into_iter().find(|block| block.contains("--dry-run")).expect("it is there");
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let folder = Folder::with("followers().take(100).tag(\"老客户\");").account();
    let folder = folder.file("tag.rhai", "followers().take(100).tag(\"老客户\");");
    let mut run = String::new();
    for line in block.lines() {
        let command = line.strip_prefix("$ mpscript ").expect("each line is a command");
        let command = command.split(" #").next().unwrap_or_default().replace("k3f9xz", &run);
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        let url = sandbox.url();
        match arguments[0] {
            "run" => arguments.extend(["--base-url", &url]),
            // There is no terminal here to answer at.
            "undo" => arguments.push("--yes"),
            _ => {}
        }
        let finished = folder.run(&arguments);
        assert_eq!(finished.code, Some(0), "{line}: {} {}", finished.out, finished.err);
        match arguments[0] {
            "runs" => finished.out.split(' ').next().unwrap_or_default().clone_into(&mut run),
            "resume" => assert_eq!(finished.out, format!("run {run} has ended: done\n")),
            "failed" => assert_eq!(finished.out, "no openid failed\n"),
            _ => {}
        }
        let tagged =
            if arguments.contains(&"--dry-run") || arguments[0] == "undo" { None } else { Some(100) };
        assert_eq!(sandbox.tagged("老客户"), tagged, "{line}");
    }
}
