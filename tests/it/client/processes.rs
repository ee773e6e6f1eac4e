//! Several processes, one account: one token call, and every call done.

use crate::fixtures::{
    account::{Account, token_of, token_target},
    paths::{GET_LIST_TAGS, POST_STABLE_TOKEN},
    program::{Folder, Running},
    runs::on_each_store,
    sandbox_process::SandboxProcess,
};
use mpscript::{
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    store::{Statement, Store},
};
use serde_json::json;
use std::{fs, time::Instant};

const CALLS: &str = "for i in 0..25 { tag::list(); }\nprint(\"25\");";
const CLASSIC: &str = "GET /cgi-bin/token";

/// A folder whose account is the sandbox's, with a script of 25 calls.
fn folder(sandbox: &SandboxProcess, token: &str) -> Folder {
    Folder::with(CALLS).shop(&sandbox.url(), token)
}

fn start(folder: &Folder) -> Running {
    folder.start(&["run", "script.rhai"])
}

#[test]
fn four_processes_share_one_token_call() {
    for (mode, call) in [("token = \"stable\"", POST_STABLE_TOKEN), ("token = \"classic\"", CLASSIC)] {
        on_each_store(|with_store| {
            let sandbox = SandboxProcess::start(&["--followers", "10"]);
            let folder = with_store(folder(&sandbox, mode));
            let processes: Vec<Running> = (0..4).map(|_| start(&folder)).collect();
            for process in processes {
                assert_eq!(process.finish().success(), "25\n");
            }
            assert_eq!((sandbox.calls(call), sandbox.calls(GET_LIST_TAGS)), (1, 100), "{mode}");
            assert_eq!(sandbox.calls(POST_STABLE_TOKEN) + sandbox.calls(CLASSIC), 1, "{mode}");
            // The ledger has them all.
            let quota = folder.run(&["quota"]).success();
            let line = quota.lines().find(|line| line.starts_with("/cgi-bin/tags/get ")).unwrap_or_default();
            assert_eq!(line.split_whitespace().nth(1), Some("100"), "{quota}");
        });
    }
}

#[test]
fn four_processes_run_the_token_command_once() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "10"]);
        let token = token_of(&sandbox.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET)));
        let mode = "token_command = \"echo asked >> asked; cat token\"";
        let folder = with_store(folder(&sandbox, mode)).file("token", token);
        let processes: Vec<Running> = (0..4).map(|_| start(&folder)).collect();
        for process in processes {
            assert_eq!(process.finish().success(), "25\n");
        }
        assert_eq!(fs::read_to_string(folder.path().join("asked")).unwrap(), "asked\n");
        assert_eq!(
            (sandbox.calls(POST_STABLE_TOKEN), sandbox.calls(CLASSIC), sandbox.calls(GET_LIST_TAGS)),
            (0, 1, 100)
        );
    });
}

#[test]
fn process_killed_during_renewal_blocks_others_for_its_lease() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "10"]);
        let folder = with_store(folder(&sandbox, ""));
        // Its answer never comes.
        sandbox.control("faults", &json!({"path": "/cgi-bin/stable_token", "delay": "60s", "times": 1}));
        let first = start(&folder);
        sandbox.wait_for_calls(POST_STABLE_TOKEN, 1);
        let others: Vec<Running> = (0..3).map(|_| start(&folder)).collect();
        let since = Instant::now();
        first.signal("KILL");
        assert_eq!(first.finish().code, None);
        for process in others {
            assert_eq!(process.finish().success(), "25\n");
        }
        println!(
            "75 calls in {} ms after the kill; a lease is {} ms",
            since.elapsed().as_millis(),
            mpscript::client::LEASE_TTL.as_millis()
        );
        assert_eq!((sandbox.calls(POST_STABLE_TOKEN), sandbox.calls(GET_LIST_TAGS)), (2, 75));
    });
}

#[test]
fn run_on_its_own_sandbox_stores_no_token() {
    let folder = Folder::with(CALLS);
    assert_eq!(folder.run(&["run", "script.rhai", "--sandbox"]).success(), "25\n");
    assert!(folder.run(&["runs"]).success().contains("  done                script.rhai\n"));
    let place = folder.path().join(".local/state/mpscript/store.sqlite3");
    let tokens = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::sqlite(&place).await.unwrap();
        store.query(Statement::new("SELECT COUNT(*) FROM mpscript_token")).await.unwrap()[0]
            .integer(0)
            .unwrap()
    });
    assert_eq!(tokens, 0);
    let account = Account::of(1);
    let url = format!("http://{}", account.address());
    let folder = folder.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", DEFAULT_SECRET);
    assert_eq!(folder.run(&["run", "script.rhai", "--base-url", &url]).success(), "25\n");
    assert!(folder.path().join(".local/state/mpscript/store.sqlite3").exists());
}
