//! `mpscript run` as a person types it: the main job, its report, its arguments and exit codes.

use crate::fixtures::{
    program::{Finished, Folder, assert_adds_up, counts, project},
    sandbox_process::SandboxProcess,
};
use serde_json::json;

const SCRIPT: &str = "scripts/tag_qr_scene.rhai";

/// The main script in a folder of its own.
fn main_script() -> Folder {
    let text = std::fs::read_to_string(project(SCRIPT)).expect("the script is there");
    Folder::new().file(SCRIPT, text)
}

/// What `print(report)` shows, with its time taken out.
fn without_time(out: &str) -> String {
    let (head, rest) = out.split_once(" in ").expect("a report says its time");
    format!("{head} in …{}", &rest[rest.find('\n').expect("counts stand under the first line")..])
}

#[test]
fn main_job_tags_the_scene_in_the_fewest_calls() {
    let folder = main_script();
    let out = folder.run(&["run", SCRIPT, "--sandbox", "--report", "report.json"]).success();
    let report = folder.json("report.json");
    assert_adds_up(&report);
    let names = [
        "listed",
        "fetched",
        "matched",
        "unmatched",
        "unsubscribed",
        "unread",
        "changed",
        "already",
        "skipped",
    ];
    assert_eq!(counts(&report, names), [10_000, 10_000, 1_234, 8_756, 10, 0, 1_234, 0, 0]);
    assert_eq!(
        report["calls"],
        json!({
            "POST /cgi-bin/stable_token": 1,
            "GET /cgi-bin/user/get": 1,
            "POST /cgi-bin/user/info/batchget": 100,
            "GET /cgi-bin/tags/get": 1,
            "POST /cgi-bin/tags/create": 1,
            "POST /cgi-bin/tags/members/batchtagging": 25,
        })
    );
    assert_eq!(report["writes"], json!({"tag_create": 1, "tag_attach": 25}));
    assert_eq!((&report["state"], &report["operations"][0]["target"]), (&json!("done"), &json!("QR 98765")));
    let expected = "\
tag `QR 98765`: done in …
  listed                10,000
    matched              1,234
      changed            1,234
      unchanged              0
      skipped                0
      failed                 0
    not matched          8,756
    unsubscribed            10
    not read                 0
";
    assert_eq!(without_time(&out), expected);
}

#[test]
fn second_run_writes_nothing() {
    let sandbox = SandboxProcess::start(&[]);
    let folder = main_script().account();
    let run =
        || folder.run(&["run", SCRIPT, "--base-url", &sandbox.url(), "--report", "report.json"]).success();
    run();
    assert_eq!(sandbox.tagged("QR 98765"), Some(1_234));
    let tagging = "POST /cgi-bin/tags/members/batchtagging";
    assert_eq!(sandbox.calls(tagging), 25);
    run();
    let report = folder.json("report.json");
    assert_adds_up(&report);
    assert_eq!((&report["changed"], &report["already"]), (&json!(0), &json!(1_234)));
    assert_eq!((sandbox.calls(tagging), sandbox.calls("POST /cgi-bin/tags/create")), (25, 1));
    assert_eq!(sandbox.tagged("QR 98765"), Some(1_234));
}

#[test]
fn scene_parameter_selects_the_followers() {
    let sandbox = SandboxProcess::start(&["--followers", "300", "--scene", "98765=10", "--scene", "1001=7"]);
    let folder = main_script().account();
    folder.run(&["run", SCRIPT, "--param", "scene=1001", "--base-url", &sandbox.url()]).success();
    assert_eq!((sandbox.tagged("QR 1001"), sandbox.tagged("QR 98765")), (Some(7), None));
}

#[test]
fn script_is_read_from_stdin_or_the_command_line() {
    let folder = Folder::new().file("lib/tools.rhai", "fn label(n) { `展台 ${n}` }");
    let out = folder.run_with_input(&["run", "-"], "print(1 + 1); 5").success();
    assert_eq!(out, "2\n", "only -e shows the value of the last line");
    assert_eq!(folder.run(&["run", "-e", "40 + 2"]).success(), "42\n");
    assert_eq!(folder.run(&["run", "-e", "`标签 ${1 + 1}`"]).success(), "标签 2\n");
    assert_eq!(folder.run(&["run", "-e", "let a = 1;"]).success(), "");
    assert_eq!(folder.run(&["run", "-e", "print(\"a\"); print(\"\"); ()"]).success(), "a\n\n");
    assert_eq!(folder.run(&["run", "-e", "import \"lib/tools\" as t; t::label(3)"]).success(), "展台 3\n");
    let debugged = folder.run(&["run", "-e", "debug([1, \"a\"])"]);
    assert_eq!((debugged.out.as_str(), debugged.err.as_str()), ("", "-e:1: [1, \"a\"]\n"));
}

#[test]
fn printed_values_are_readable() {
    let folder = Folder::new();
    let run =
        |text: &str| folder.run(&["run", "-e", text, "--sandbox", "--sandbox-followers", "3"]).success();
    assert_eq!(run("token::get()"), "***\n");
    assert_eq!(run("`${token::get()}` + [token::stable()]"), "***[***]\n");
    assert_eq!(run("tag::create(\"老客户\")"), "老客户 (id 100)\n");
    assert_eq!(run("followers().filter(|u| true).take(2)"), "followers().filter(…).take(2)\n");
    assert_eq!(run("followers().count()"), "3\n");
}

#[test]
fn piped_output_holds_only_what_the_script_prints() {
    for arguments in [["--quiet"].as_slice(), &["--in-flight", "1"], &["--in-flight=1000", "-q"], &[]] {
        let arguments = [&["run", SCRIPT, "--sandbox", "--sandbox-followers", "800"], arguments].concat();
        for folder in
            [main_script(), main_script().env("NO_COLOR", "1"), main_script().env("TERM", "xterm-256color")]
        {
            let out = folder.run(&arguments).success();
            assert!(out.starts_with("tag `QR 98765`: done in ") && !out.contains('\x1b'), "{out}");
        }
    }
    let finished = main_script().run(&["run", SCRIPT, "--param", "scene=x", "--sandbox"]);
    assert!(!finished.failure(2).contains('\x1b'));
}

#[test]
fn in_flight_option_limits_concurrent_calls() {
    let sandbox = SandboxProcess::start(&["--followers", "2000", "--latency", "5ms"]);
    let folder = main_script().account();
    folder.run(&["run", SCRIPT, "--base-url", &sandbox.url(), "--in-flight", "3"]).success();
    assert_eq!(sandbox.stats()["max_in_flight"], 3);
    for bad in ["0", "1001", "many"] {
        let message = folder.run(&["run", SCRIPT, "--in-flight", bad]).failure(2);
        assert!(message.contains("give a number from 1 to 1000"), "{message}");
    }
}

#[test]
fn invalid_arguments_are_refused_before_any_call() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = main_script().account().file("needs.rhai", "print(param(\"tag\")); followers().count();");
    let url = sandbox.url();
    let run = |arguments: &[&str]| folder.run(&[&["run", "--base-url", &url], arguments].concat()).failure(2);
    assert_eq!(
        run(&[SCRIPT, "--report", "nowhere/report.json"]),
        format!(
            "error: can't write the report {}: No such file or directory (os error 2)\n  \
             hint: give a file in a folder that exists and can be written\n",
            folder.path().canonicalize().expect("the folder is there").join("nowhere/report.json").display()
        )
    );
    assert_eq!(
        run(&[SCRIPT, "--param", "scen=1"]),
        format!("error: {SCRIPT} has no parameter `scen`\n  hint: did you mean `scene`?\n")
    );
    assert_eq!(
        run(&[SCRIPT, "--param", "scene=1", "--param", "scene=2"]),
        "error: parameter `scene` is given twice\n"
    );
    assert!(run(&[SCRIPT, "--param", "scene"]).contains("write it as NAME=VALUE"));
    assert!(
        run(&[SCRIPT, "--param", "scene=展台"])
            .starts_with("error: parameter `scene` must be a whole number")
    );
    assert!(run(&["needs.rhai"]).starts_with("error: parameter `tag` is not given"));
    assert!(run(&["needs.rhai", "-e", "1"]).contains("cannot be used with"));
    assert!(run(&[]).contains("<FILE>"));
    assert_eq!(sandbox.stats()["calls"], json!({}));
    // A report that is not the run's must not be left behind, and nor must half of one.
    let left: Vec<_> = folder.path().read_dir().expect("the folder can be listed").collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn parameter_has_the_type_of_its_default() {
    let script = "print(type_of(param(\"a\", 1))); print(type_of(param(\"b\", 1.5))); \
                  print(type_of(param(\"c\", false))); print(param(\"d\", \"x\")); print(param(\"e\"));";
    let folder = Folder::with(script);
    let out = folder.run(&[
        "run",
        "script.rhai",
        "--param",
        "a=-5",
        "--param",
        "b=2",
        "--param",
        "c=true",
        "--param",
        "d=a=b 标签",
        "--param",
        "e=",
    ]);
    assert_eq!(out.success(), "i64\nf64\nbool\na=b 标签\n\n");
    for bad in ["a=1.5", "a=", "b=x", "b=nan", "b=inf", "b=-infinity", "b=1e999", "c=yes"] {
        folder.run(&["run", "script.rhai", "--param", "e=1", "--param", bad]).failure(2);
    }
}

#[test]
fn default_that_no_text_can_give_is_refused() {
    for (default, kind) in
        [("[1]", "an array"), ("#{ a: 1 }", "a map"), ("|x| x", "a closure"), ("'a'", "a character")]
    {
        let script = format!("print(param(\"名单\", {default}))");
        let message = format!("the default of parameter `名单` is {kind}, which can't be read from a text");
        let checked = Folder::with(&script).run(&["check", "script.rhai"]);
        assert!(checked.err.contains(&message), "{default}: {}", checked.err);
        // Where only the run can know it, whether the parameter is given or not.
        let script = format!("let x = {default}; print(param(\"名单\", x))");
        for given in [&["--param", "名单=[3]"][..], &[]] {
            let finished = Folder::with(&script).run(&[&["run", "script.rhai"][..], given].concat());
            assert!(finished.err.contains(&message), "{default}: {}", finished.err);
        }
    }
    let finished = Folder::new().run(&["run", "-e", "print(param(\"名单\", followers()))"]);
    assert!(finished.err.contains("is an Audience, which can't be read from a text"), "{}", finished.err);
}

#[test]
fn default_of_unit_is_for_a_text_that_may_be_missing() {
    let folder = Folder::with("print(param(\"备注\", ()) ?? \"无\")");
    assert_eq!(folder.run(&["run", "script.rhai"]).success(), "无\n");
    assert_eq!(folder.run(&["run", "script.rhai", "--param", "备注=展台"]).success(), "展台\n");
}

#[test]
fn plain_http_base_url_is_refused() {
    let folder = main_script().account();
    let message = folder.run(&["run", SCRIPT, "--base-url", "http://example.com"]).failure(2);
    assert_eq!(
        message,
        "error: base URL `http://example.com` is plain HTTP: the AppSecret and the token would be sent in clear text\n  \
         hint: use https://, or http://127.0.0.1:PORT for a sandbox on this machine\n"
    );
    let message = folder.run(&["run", SCRIPT, "--sandbox", "--base-url", "http://127.0.0.1:1"]).failure(2);
    assert!(
        message.starts_with("error: the argument '--sandbox' cannot be used with '--base-url <URL>'"),
        "{message}"
    );
}

#[test]
fn every_outcome_has_its_exit_code() {
    let folder = Folder::new();
    let run = |text: &str| folder.run(&["run", "-e", text, "--sandbox", "--sandbox-followers", "10"]);
    let code = |finished: Finished| finished.code;
    assert_eq!(code(run("followers().count()")), Some(0));
    assert_eq!(code(run("throw \"不行\"")), Some(1));
    assert_eq!(code(run("tag::delete(999)")), Some(1));
    assert_eq!(code(run("param(\"x\")")), Some(2));
    assert_eq!(code(folder.run(&["run", "-e", "followers().count()"])), Some(2));
    assert_eq!(code(run("openids([\"bad\"]).tag(\"新\")")), Some(3));
    // Reading the report does not settle what failed.
    assert_eq!(code(run("let r = openids([\"bad\"]).tag(\"新\"); print(r.failed.len())")), Some(3));
    assert_eq!(code(run("try { tag::delete(999) } catch { }")), Some(0));
    assert_eq!(code(folder.run(&["fly"])), Some(2));
}

#[test]
fn help_version_and_completions_are_printed() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["--version"]).success(), format!("mpscript {}\n", env!("CARGO_PKG_VERSION")));
    let help = folder.run(&["--help"]).success();
    let codes = "\
Exit codes:
    0  done
    1  the script failed
    2  wrong arguments or configuration
    3  done, but some openids failed or were not listed (the report says which)
    4  paused: the day's quota is used up (`mpscript resume` continues)
    5  parked: the run waits for your decision (the message says which)
  130  stopped by Ctrl-C or `mpscript stop`
";
    assert!(help.ends_with(codes), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&["completions", shell]).success();
        assert!(script.contains("in-flight") && script.contains("mpscript"), "{shell}: {script}");
    }
    let nothing = folder.run(&[]);
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(2), ""));
    assert!(nothing.err.contains("Usage: mpscript <COMMAND>"), "{}", nothing.err);
}

#[test]
fn script_of_a_misspelt_name_is_suggested() {
    let folder = Folder::new().file("first.rhai", "print(1);").file("脚本/名单.rhai", "print(1);");
    for (command, named, near) in [
        ("run", "fist.rhai", "first.rhai"),
        ("run", "first", "first.rhai"),
        ("check", "fist.rhai", "first.rhai"),
        ("check", "脚本/名单", "脚本/名单.rhai"),
    ] {
        let message = folder.run(&[command, named]).failure(2);
        assert!(message.starts_with(&format!("error: can't read {named}: ")), "{message}");
        assert!(message.ends_with(&format!("  hint: did you mean `{near}`?\n")), "{message}");
    }
    let message = folder.run(&["run", "别的.rhai"]).failure(2);
    assert!(message.contains("hint: give the path of a .rhai script"), "{message}");
}
