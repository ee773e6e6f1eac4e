//! Automations: their declaration is read without running anything, and they can be run by hand.

use crate::fixtures::{program::Folder, sandbox_process::SandboxProcess};

const BOOTH: &str = r#"//! Sweep the booth's followers every morning.
const automation = #{
    on: [ #{ cron: "0 9 * * 1-5", tz: "Asia/Shanghai" }, #{ every: "15m", handler: "often", jitter: "10s" } ],
    overlap: "queue",
    catch_up: #{ policy: "all", within: "6h" },
    timeout: "2h", retries: 2,
    params: #{ scene: #{ type: "int", init: 98765, help: "QR scene id" }, name: "展台" },
    limits: #{ changes: 50000, errors: "1%" },
};
const PREFIX = "QR ";

fn run(ctx, p) {
    ctx.state.runs = (ctx.state?.runs ?? 0) + 1;
    let report = followers().filter(|u| u.qr_scene == p.scene).tag(global::PREFIX + p.name);
    print(`${ctx.trigger} ${ctx.automation} ${ctx.state.runs}: ${report.changed}`);
}

fn often(ctx) { tag::list() }
"#;

fn checked(automation: &str) -> String {
    let text = format!("const automation = {automation};\nfn run(ctx, p) {{ }}\nfn three(a, b, c) {{ }}");
    let folder = Folder::with(&text);
    folder.run(&["check", "script.rhai"]).failure(1)
}

#[test]
fn check_shows_triggers_parameters_and_zone() {
    let folder = Folder::new().file("jobs/booth.rhai", BOOTH).file("jobs/bad.rhai", "let a = ;");
    let booth = folder.run(&["check", "jobs/booth.rhai"]).success();
    for part in [
        "jobs/booth.rhai: ok\n  cron 0 9 * * 1-5 (Asia/Shanghai)\n    ",
        " 09:00:00 +08:00\n",
        "  every 15m calls often\n",
        "  parameter name (a text, 展台 by default)\n",
        "  parameter scene (a whole number, 98765 by default): QR scene id\n",
        "  functions: filter, followers, tag, tag::list",
    ] {
        assert!(booth.contains(part), "{part}: {booth}");
    }
    assert_eq!(booth.matches(" 09:00:00 +08:00\n").count(), 5, "{booth}");
    // A folder is checked whole.
    let all = folder.run(&["check", "jobs"]);
    assert_eq!(all.code, Some(1));
    assert!(all.out.contains("jobs/booth.rhai: ok") && all.err.contains("jobs/bad.rhai:1:9"), "{}", all.err);
    // A trigger without a zone has the configuration's, else the machine's.
    let plain = "const automation = #{ on: [ #{ cron: \"@daily\" } ] };\nfn run() { }";
    let folder = Folder::with(plain).file("mpscript.toml", "timezone = \"Europe/Berlin\"\n");
    let shown = folder.run(&["check", "script.rhai"]).success();
    assert!(shown.contains("cron @daily (Europe/Berlin)"), "{shown}");
    assert!(shown.contains("default zone: the configuration's"), "{shown}");
    let shown = Folder::with(plain).env("TZ", "Asia/Tokyo").run(&["check", "script.rhai"]).success();
    assert!(shown.contains("cron @daily (Asia/Tokyo)") && shown.contains("the machine's"), "{shown}");
}

/// What `check` shows of two triggers that come at nine o'clock, of these handlers.
fn checked_at_nine(more: &str, second: &str) -> String {
    let text = format!(
        "const automation = #{{ on: [ #{{ cron: \"0 9 * * *\", tz: \"UTC\" }}, #{{ every: \"1h\"{second} }} ]{more} }};\n\
         fn run() {{ }}\nfn 轮询() {{ }}"
    );
    Folder::with(&text).run(&["check", "script.rhai"]).success()
}

#[test]
fn check_warns_of_two_triggers_of_one_handler_that_coincide() {
    let shown = checked_at_nine("", "");
    assert!(shown.contains("\n  `run` is due twice at "), "{shown}");
    let expected = " 09:00:00 +00:00, by cron 0 9 * * * (UTC) and by every 1h: one of the two is skipped";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn check_warns_of_two_handlers_that_coincide() {
    let shown = checked_at_nine("", ", handler: \"轮询\"");
    let expected = " 09:00:00 +00:00, by cron 0 9 * * * (UTC) and by every 1h: they run one after another";
    assert!(shown.contains("\n  `run` and `轮询` are due at ") && shown.contains(expected), "{shown}");
}

#[test]
fn check_warns_of_two_handlers_that_run_at_the_same_time() {
    let shown = checked_at_nine(", overlap: \"parallel\"", ", handler: \"轮询\"");
    assert!(shown.contains(": they run at the same time (overlap: \"parallel\")"), "{shown}");
}

#[test]
fn invalid_automation_is_reported_with_place_and_hint() {
    for (automation, says) in [
        ("#{ }", "the automation does not say when it runs\n --> script.rhai:1:20"),
        ("#{ on: [], overlaps: 1 }", "an automation has no `overlaps`\n --> script.rhai:1:31"),
        ("#{ on: [], overlaps: 1 }", "did you mean `overlap`?"),
        ("#{ on: [], overlap: \"forbit\" }", "did you mean \"forbid\"?"),
        ("#{ on: 5 }", "`on` is no array of triggers"),
        ("#{ on: [ #{ } ] }", "the trigger says neither `cron` nor `every`"),
        ("#{ on: [ #{ cron: \"@daily\", every: \"1m\" } ] }", "says both `cron` and `every`"),
        ("#{ on: [ #{ cron: \"0 24 * * *\" } ] }", "hour `24` is not in 0 to 23\n --> script.rhai:1:38"),
        ("#{ on: [ #{ cron: \"0 0 9 * * 1\" } ] }", "without the seconds at its beginning: `0 9 * * 1`"),
        ("#{ on: [ #{ cron: \"@daily\", tz: \"Asia/Shangai\" } ] }", "did you mean `Asia/Shanghai`?"),
        (
            "#{ on: [ #{ cron: \"@daily\", tz: \"Asia/Beijing\" } ] }",
            "Beijing's time too, is \"Asia/Shanghai\"",
        ),
        ("#{ on: [ #{ every: 15 } ] }", "write every: \"15s\""),
        ("#{ on: [ #{ every: \"1m\", tz: \"UTC\" } ] }", "an interval has no zone"),
        ("#{ on: [ #{ every: \"100ms\" } ] }", "not in whole seconds from 1s to 24h"),
        ("#{ on: [ #{ every: \"1m\", handler: \"rum\" } ] }", "did you mean `run`?"),
        ("#{ on: [ #{ every: \"1m\", handler: \"three\" } ] }", "`three` takes 3 parameters"),
        ("#{ on: [ #{ every: \"1m\" }, #{ every: \"1m\" } ] }", "the same trigger is there twice"),
        ("#{ on: [], timeout: \"0s\" }", "no run ends in no time"),
        (
            "#{ on: [ #{ every: \"1m\", jitter: \"1m\" } ] }",
            "the jitter is as long as the time to the next fire",
        ),
        (
            "#{ on: [ #{ every: \"1m\" } ], params: #{ n: #{ type: \"int\" } } }",
            "parameter `n` has no value when a trigger fires",
        ),
        ("#{ on: [], timeout: 5 }", "`timeout` is no length of time"),
        ("#{ on: [], retries: 99 }", "`retries` is no whole number from 0 to 10"),
        ("#{ on: [], catch_up: \"last\" }", "`catch_up` must be one of none, latest, all"),
        ("#{ on: [], ping: \"http://example.com\" }", "is no address for a ping"),
        ("#{ on: [], params: #{ n: #{ help: \"x\" } } }", "has neither a type nor a value to begin with"),
        (
            "#{ on: [], params: #{ n: #{ type: \"int\", init: \"x\" } } }",
            "parameter `n` must be a whole number",
        ),
        ("#{ on: [], params: #{ n: #{ init: 5, max: 4 } } }", "parameter `n` must be at most 4"),
        ("#{ on: [], retries: 1 + 1 }", "nothing in it is evaluated"),
        ("#{ on: [], max_waiting: 0 }", "`max_waiting` is no whole number from 1 to 10000"),
        ("#{ on: [], account: [] }", "`account` names no account"),
        ("#{ on: [], account: \" \" }", "`account` has a name that is empty or has control characters"),
        ("#{ on: [], account: [\"总店\", \"展\\n台\"] }", "a name that is empty or has control characters"),
        ("#{ on: [], account: [\"总店\", \"总店\"] }", "the account `总店` is there twice"),
        ("#{ on: [], account: [\"总店\", 5] }", "`account` is no text, nor a list of texts"),
    ] {
        let output = checked(automation);
        assert!(output.contains(says), "{automation}: {output}");
    }
    let folder = Folder::with("const automation = #{ on: [] };\nfn run() { }\nprint(1);");
    let output = folder.run(&["check", "script.rhai"]).failure(1);
    assert!(output.contains("an automation only declares") && output.contains("script.rhai:3:1"), "{output}");
}

#[test]
fn manual_run_of_an_automation_keeps_its_state() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--scene", "98765=120", "--scene", "5=7"]);
    let folder = Folder::new().account().file("booth.rhai", BOOTH);
    let url = sandbox.url();
    let run = |arguments: &[&str]| {
        folder.run(&[&["run", "booth.rhai", "--base-url", &url, "--quiet"], arguments].concat())
    };
    assert_eq!(run(&[]).success(), "hand booth 1: 120\n");
    assert_eq!(run(&["--param", "scene=5", "--param", "name=五"]).success(), "hand booth 2: 7\n");
    assert_eq!([sandbox.tagged("QR 展台"), sandbox.tagged("QR 五")], [Some(120), Some(7)]);
    // A dry run and a sandbox of its own keep nothing.
    assert!(run(&["--dry-run", "--param", "name=新"]).out.starts_with("hand booth 3: 120\n"));
    let own = folder.run(&["run", "booth.rhai", "--sandbox", "--quiet"]).success();
    assert_eq!(own, "hand booth 1: 1234\n");
    assert_eq!(run(&["--param", "scene=6"]).out, "hand booth 3: 0\n");
    for (given, says) in [
        ("scene=x", "parameter `scene` must be a whole number, but `x` was given"),
        ("scen=5", "did you mean `scene`?"),
    ] {
        let output = run(&["--param", given]);
        assert!(output.code == Some(2) && output.err.contains(says), "{}", output.err);
    }
}

#[test]
fn handler_context_keys_match_the_reference() {
    let keys = "const automation = #{ on: [], params: #{ fails: false } };\n\
                fn run(ctx, p) { for key in ctx.keys() { print(key) } }";
    let folder = Folder::new().account().file("keys.rhai", keys);
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let given = folder.run(&["run", "keys.rhai", "--base-url", &sandbox.url()]).success();
    let output = folder.run(&["docs", "ctx"]).success();
    let documented: Vec<&str> =
        output.lines().skip(3).filter_map(|line| line.split_whitespace().next()).collect();
    let mut given: Vec<&str> = given.lines().collect();
    let mut sorted = documented.clone();
    given.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(given, sorted, "{output}");
    let automation = folder.run(&["docs", "automation"]).success();
    assert!(automation.contains("\n  catch_up  "), "{automation}");
    let refused = folder.run(&["docs", "automatoin"]);
    assert!(refused.code == Some(2) && refused.err.contains("automation"), "{}", refused.err);
}

#[test]
fn check_finds_unknown_context_keys_in_handlers() {
    let script = |body: &str| {
        format!(
            "const automation = #{{ on: [ #{{ every: \"1m\", handler: \"often\" }} ], params: #{{ scene: 5 }} }};\n{body}"
        )
    };
    for (body, says) in [
        ("fn often(ctx, p) { print(p.scen) }", "what the automation is given has no `scen`\n"),
        ("fn often(c) { print(c.schedule) }", "the context has no `schedule`\n"),
        (
            "fn often() { }\nfn on_failure(ctx, error) { print(error.mesage) }",
            "what went wrong has no `mesage`\n",
        ),
        ("fn often() { }\nfn on_failur(ctx, error) { print(1) }", "`on_failur` is never called\n"),
    ] {
        let output = Folder::with(&script(body)).run(&["check", "script.rhai"]).failure(1);
        assert!(output.contains(says) && output.contains("did you mean `"), "{body}: {output}");
    }
    for body in [
        "fn often(ctx, p) { ctx.state.n = p.scene; p.more = 1; print(p.more + ctx.state.n); helper(#{ x: 1 }) }\nfn helper(p) { print(p.x) }",
        "fn often(ctx, p) { let p = #{ y: 1 }; print(p.y); print(ctx?.scheduled_at) }",
        "fn often() { on_fail() }\nfn on_fail() { }",
        "fn often() { }\nfn on_failure(ctx, error) { try { tag::list() } catch (error) { print(error.errcode) } }",
        "fn often(ctx, p) { for (x, p) in [#{ y: 1 }] { print(x) } p[\"more\"] = 1; print(p.more) }",
        "fn often(ctx, p) { p.mixin(#{ x: 1 }); print(p.x) }",
        "fn often(ctx, p) { run(ctx, #{ full: true }) }\nfn run(ctx, p) { print(p.full) }",
        "fn often() { }\nfn run(list, page, n) { print(page.size) }",
        "fn often() { }\nfn log_failure(e) { print(e) }",
    ] {
        let output = Folder::with(&script(body)).run(&["check", "script.rhai"]);
        assert_eq!(output.code, Some(0), "{body}: {}", output.err);
    }
}

#[test]
fn automation_run_can_be_undone() {
    let sandbox = SandboxProcess::start(&["--followers", "100", "--scene", "98765=30"]);
    let folder = Folder::new().account().file("booth.rhai", BOOTH);
    let on = ["--base-url", &sandbox.url()];
    folder.run(&[&["run", "booth.rhai"], &on[..]].concat()).success();
    assert_eq!(sandbox.tagged("QR 展台"), Some(30));
    let runs = folder.run(&["runs"]).success();
    let run = runs.split(' ').next().expect("a run has an id");
    let undone = folder.run(&[&["undo", run, "--yes"], &on[..]].concat());
    assert_eq!((undone.code, sandbox.tagged("QR 展台")), (Some(0), None), "{}", undone.err);
}

#[test]
fn terminals_of_a_loop_are_grouped_in_show() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let script = "for u in followers().take(7).to_array() { openids([u.openid]).tag(\"甲\") }";
    let folder = Folder::with(script).account();
    sandbox.run(&folder, &[]);
    let runs = folder.run(&["runs"]).success();
    let shown = folder.run(&["show", runs.split(' ').next().expect("a run has an id")]).success();
    assert!(shown.contains("7 × tag `甲`: done in ") && shown.matches("tag `甲`").count() == 1, "{shown}");
    assert!(shown.contains("changed") && shown.contains(" 7\n"), "{shown}");
}

#[test]
fn state_that_is_no_map_is_refused_and_the_saved_one_kept() {
    let automation = "const automation = #{ on: [] };\nfn run(ctx) { if ctx.state?.n == () { ctx.state.n = 7; \
                      print(\"新\"); } else { print(ctx.state.n); ctx.state = 5; } }";
    let folder = Folder::new().file("计数.rhai", automation).account().env("MPSCRIPT_STORE", "store.sqlite3");
    let sandbox = SandboxProcess::start(&[]);
    let run = || folder.run(&["run", "计数.rhai", "--base-url", &sandbox.url(), "--quiet"]);
    assert_eq!(run().success(), "新\n");
    let refused = run();
    assert!(refused.err.contains("ctx.state is 5, which is no map"), "{} {}", refused.out, refused.err);
    assert_eq!(run().out, "7\n", "the state of before is still there");
}
