//! A store on a disk that is full, and on one that can't be written: real ones, mounted in a namespace of
//! their own.

use crate::fixtures::{prerequisites, sandbox_process::SandboxProcess};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET};
use std::process::Command;

/// Runs a shell script on a disk of 480 KiB at `/mnt`, in a namespace of its own. `$MPSCRIPT` is the program
/// with an account whose address does not answer.
fn on_a_small_disk(script: &str) -> Option<String> {
    on_a_disk("480k", script)
}

/// The same on a disk of this size.
fn on_a_disk(size: &str, script: &str) -> Option<String> {
    if !may_mount() {
        prerequisites::missing("namespaces");
        return None;
    }
    let mounted = format!("mount -t tmpfs -o size={size} none /mnt && cd /mnt && {script}");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &mounted])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/mnt")
        .env("MPSCRIPT_STORE", "/mnt/store.sqlite3")
        .env("MPSCRIPT_APPID", "wx1")
        .env("MPSCRIPT_SECRET", "S3CRET-walrus-0f4d9b7a1c6e")
        .env("MPSCRIPT", env!("CARGO_BIN_EXE_mpscript"))
        .output();
    let output = output.expect("unshare is there");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some(format!("{out}{err}"))
}

/// Whether a disk can be mounted that no other process sees.
pub(crate) fn may_mount() -> bool {
    let mount = ["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"];
    Command::new("unshare").args(mount).output().is_ok_and(|output| output.status.success())
}

const ADDRESS: &str = "--base-url http://127.0.0.1:9";

#[test]
fn full_disk_is_reported_and_keeps_earlier_data() {
    let seen = on_a_small_disk(&format!(
        "\"$MPSCRIPT\" token status {ADDRESS} > /dev/null && dd if=/dev/zero of=fill bs=1k 2> /dev/null; \
         \"$MPSCRIPT\" doctor {ADDRESS} | grep -A1 store; rm fill; \"$MPSCRIPT\" token status {ADDRESS} | head -3"
    ));
    let Some(seen) = seen else { return };
    assert_eq!(
        seen,
        "FAIL store          there is no room for the store /mnt/store.sqlite3: the disk is full
                    → make room on the disk; what was written before is safe
account  wx1 at http://127.0.0.1:9
mode     stable
token    none in the store yet
"
    );
}

#[test]
fn new_store_on_a_full_disk_fails_before_any_call() {
    let fill = "dd if=/dev/zero of=fill bs=1k 2> /dev/null";
    let Some(seen) = on_a_small_disk(&format!("{fill}; \"$MPSCRIPT\" token show {ADDRESS}")) else { return };
    assert_eq!(
        seen,
        "error: there is no room for the store /mnt/store.sqlite3: the disk is full
  hint: make room on the disk; what was written before is safe
"
    );
}

#[test]
fn read_only_store_is_reported() {
    let seen = on_a_small_disk(&format!(
        "\"$MPSCRIPT\" token status {ADDRESS} > /dev/null && mount -o remount,ro /mnt && \
         \"$MPSCRIPT\" doctor {ADDRESS} | grep -A1 store"
    ));
    let Some(seen) = seen else { return };
    assert_eq!(
        seen,
        "FAIL store          the store /mnt/store.sqlite3 is read-only
                    → give yourself the right to write the file and its folder, or set XDG_STATE_HOME to another folder
"
    );
}

/// Shell: the account of a sandbox, a file for a log that is on no small disk, and a wait for what a log says.
fn prelude() -> String {
    format!(
        "export MPSCRIPT_APPID={DEFAULT_APPID} MPSCRIPT_SECRET={DEFAULT_SECRET}; log=$(mktemp); trap 'rm $log' EXIT
         fill() {{ dd if=/dev/zero of=fill bs=1k 2> /dev/null; }}
         logged() {{ tail -n +$2 $log | grep -q \"$1\"; }}
         await() {{ n=0; until logged \"$1\" $2; do
             n=$((n + 1)); [ $n -gt 1200 ] && {{ cat $log; kill $pid; exit 1; }}; sleep 0.1; done; }}"
    )
}

#[test]
fn daemon_fires_again_once_its_disk_has_room() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let seen = on_a_disk(
        "4m",
        &format!(
            "{}
             mkdir jobs
             echo 'const automation = #{{ on: [ #{{ every: \"1s\" }} ] }}; fn run(ctx) {{ print(\"滴答\") }}' > jobs/tick.rhai
             \"$MPSCRIPT\" serve jobs --base-url {} > $log 2>&1 & pid=$!
             await 滴答 1; fill; await 'the disk is full' 1; rm fill
             await 'the store works again' 1; await 滴答 $(($(wc -l < $log) + 1)); echo 又来了
             kill $pid; wait $pid; grep -c non-zero $log",
            prelude(),
            sandbox.url()
        ),
    );
    let Some(seen) = seen else { return };
    assert_eq!(seen, "又来了\n0\n");
}

#[test]
fn run_goes_on_once_its_disk_has_room() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "100ms"]);
    let seen = on_a_disk(
        "4m",
        &format!(
            "{}
             echo 'let r = followers().filter(|u| {{ print(\"开始\"); true }}).tag(\"甲\"); print(\"全部\")' > script.rhai
             \"$MPSCRIPT\" run script.rhai --yes --in-flight 1 --base-url {} > $log 2> /dev/null & pid=$!
             await 开始 1; fill; sleep 2; rm fill; wait $pid; echo $?; tail -1 $log",
            prelude(),
            sandbox.url()
        ),
    );
    let Some(seen) = seen else { return };
    assert_eq!(seen, "0\n全部\n");
}

#[test]
fn job_whose_first_step_finds_a_full_disk_parks_and_can_be_resumed() {
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let seen = on_a_disk(
        "4m",
        &format!(
            "{}
             echo 'print(\"开始\"); sleep(3); let r = followers().tag(\"甲\"); print(\"全部\")' > script.rhai
             \"$MPSCRIPT\" run script.rhai --yes --base-url {} > $log 2> /dev/null & pid=$!
             await 开始 1; fill; wait $pid; echo $?; rm fill; run=$(\"$MPSCRIPT\" runs | cut -c1-6)
             \"$MPSCRIPT\" resume $run --quiet --yes",
            prelude(),
            sandbox.url()
        ),
    );
    let Some(seen) = seen else { return };
    assert_eq!(seen, "5\n开始\n全部\n");
}
