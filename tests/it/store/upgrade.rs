//! A store that the program of version 5 has written, on SQLite and on PostgreSQL: its runs are shown, resumed and undone,
//! its automations keep their state. Then stores of later versions, each made from it.
//!
//! One file because every version's store is made from the one before.

use crate::fixtures::{
    postgres::cluster,
    program::Folder,
    runs::{fires_of, newest_run_id, on_store, records_named},
    sandbox_process::SandboxProcess,
};
use mpscript::{
    base::{Clock, EpochMs, fingerprint},
    bulk::ChangedReader,
    run::daemon::serving_lease,
    sandbox::DEFAULT_APPID,
    store::{AutomationId, FireState, LeaseKey, LeaseKind, Statement, Store},
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

/// Tables and rows; see the head of the file.
const STORE: &str = include_str!("../../fixtures/store_v5.sql");

/// The run that ended well: tags, remarks, the blacklist, a tag that it made and deleted.
const DONE: &str = "b2tkvb";
/// Interrupted after three batches of a job.
const IN_A_JOB: &str = "jb6hnn";
/// Interrupted on the page of a loop, after a call whose outcome was not written.
const IN_A_LOOP: &str = "zz2gwp";
/// Parked at a call that may have been made.
const PARKED: &str = "54nzk6";

/// An undo that was interrupted after its first step was refused, before it called what it skips a step with by another
/// name. Its run and its steps stand beside those of the file.
const INTERRUPTED_UNDO: &str = r#"
INSERT INTO mpscript_run (id, account, script, state, dry_run, started_at, ended_at, beat_at, owner, attempt, undoes, note, stop, source, options, report)
VALUES ('u7n3do', 'wx5a2db0c5a9d0b0c5 {base_url}', 'undo 237uqw', 'interrupted', 0, 1795902699000, 0, 1795902699100, 'shop/1 00000000-0000-0000-0000-000000000000.4026531836.1', 1, '237uqw', '', 0,
 '{"name":"undo 237uqw","text":"try { tag::delete(0); } catch (e) { not_taken_back(\"3\", e); }\ntry { tag::delete(1); } catch (e) { not_taken_back(\"2\", e); }\n","imports":[]}',
 '{"account":null,"base_urls":["{base_url}"],"sandbox":false,"params":{},"in_flight":1,"max_changes":null,"max_errors":null,"allow_pause":false,"folder":"{folder}","prints_value":false,"of_session":false}', '');
INSERT INTO mpscript_step (run, step, seq, what, state, change, checkpoint, answer)
VALUES ('u7n3do', '1', 1, 'tag::delete({"id":0})', 'failed', '', '', '{"message":"标签0不能删除","errcode":45058,"errmsg":"不能删除","endpoint":"tag::delete","rid":null,"hint":null,"notes":[],"is_configuration":false,"is_cancelled":false,"is_unsure":false}');
INSERT INTO mpscript_step (run, step, seq, what, state, change, checkpoint, answer)
VALUES ('u7n3do', '2', 2, 'tag::delete({"id":1})', 'begun', '', '', '');
"#;

/// An automation that was served and never ran, so that nothing says for which account.
const NEVER_RUN: &str = r#"
INSERT INTO mpscript_automation (name, folder, since, paused_until, state, stale, good, served_at)
VALUES ('待命', '{folder}/jobs', 1795902690175, 0, '{"n":41}', '', '', 1795902690175);
INSERT INTO mpscript_fire (automation, source, instant, state, reason, run, node, at, failures, deaths)
VALUES ('待命', 'cron 0 0 1 1 *', 1795902690175, 'armed', 'its trigger is new', '', 'shop/1 a 0', 1795902690175, 0, 0);
"#;

/// What those runs had done to the account by then.
const DONE_SCRIPT: &str = r#"let t = tag::create("老客户"); tag::update(t, "贵宾");
followers().from_scene(4711).tag("贵宾");
followers().filter(|u| u.qr_scene == 4711).take(5).remark(|u| `客户${u.openid.sub_string(24)}`);
followers().from_scene(4711).take(20).block();
tag::delete(tag::create("旧的"));
"#;
const BEGUN_SCRIPT: &str = r#"followers().from_scene(98765).take(150).tag("展台");
let t = tag::create("逐个");
followers().filter(|u| u.qr_scene == 4712).take(4).each(|u| { tag::attach(t, [u]); user::remark(u, "逐个"); });
"#;

/// A sandbox whose account is as those runs left it, and a folder with their store.
struct Upgrade {
    sandbox: SandboxProcess,
    folder: Folder,
    /// What the blacklist was before those runs.
    blacklist: Value,
}

/// On SQLite, and on PostgreSQL where there is one.
fn on_each_store(work: impl Fn(Upgrade)) {
    work(Upgrade::new("store.sqlite3"));
    if let Some(cluster) = cluster() {
        work(Upgrade::new(cluster.database().reveal()));
    }
}

impl Upgrade {
    fn new(store: &str) -> Self {
        let sandbox = SandboxProcess::start(&[
            "--followers",
            "12000",
            "--scene",
            "98765=1234",
            "--scene",
            "4711=60",
            "--scene",
            "4712=40",
        ]);
        let blacklist = sandbox.get("/__sandbox/world")["blacklist"].clone();
        for script in [DONE_SCRIPT, BEGUN_SCRIPT] {
            let folder = Folder::with(script).account();
            sandbox.run(&folder, &["--in-flight", "1", "--quiet"]).success();
        }
        let folder = Folder::new().account().env("MPSCRIPT_STORE", store);
        let path = folder.path().to_str().expect("the path is UTF-8").to_owned();
        let rows = format!("{STORE}{INTERRUPTED_UNDO}{NEVER_RUN}")
            .replace("{base_url}", &sandbox.url())
            .replace("{folder}", &path);
        load(&folder, &rows);
        Self { sandbox, folder, blacklist }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let finished = self.folder.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {} {}", finished.out, finished.err);
        finished.out
    }

    fn state(&self, run: &str) -> Value {
        let runs: Value = serde_json::from_str(&self.run(&["runs", "--json"])).expect("it is JSON");
        let runs = runs.as_array().expect("runs are a list");
        runs.iter().find(|row| row["id"] == run).expect("it is listed")["state"].clone()
    }
}

/// Writes the tables as the database itself takes them: the program must not have opened it before.
fn load(folder: &Folder, rows: &str) {
    let place = folder.store_place();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if place.starts_with("postgres://") {
            let mut store = sqlx::PgConnection::connect(place).await.expect("the server answers");
            store.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(rows.to_owned()))).await.expect("it is SQL");
        } else {
            let path = folder.path().join(place);
            fs::write(&path, "").expect("a file can be written");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode can be set");
            let url = format!("sqlite://{}", path.display());
            let mut store = sqlx::SqliteConnection::connect(&url).await.expect("the file opens");
            store.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(rows.to_owned()))).await.expect("it is SQL");
            store.close().await.expect("the file closes");
        }
    });
}

/// The source of every run, by run.
async fn sources(store: &Store) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for run in store.runs("", 100).await.expect("the store works") {
        let id = run.expect("it can be read").id;
        let payload = store.run_payload(&id).await.expect("the store works");
        sources.push((id, payload.source));
    }
    sources
}

#[test]
fn sources_of_version_5_are_kept_once() {
    on_each_store(|upgrade| {
        let (runs, kept) = on_store(&upgrade.folder, async |store| {
            let kept = store.query(Statement::new("SELECT text FROM mpscript_source")).await;
            (sources(store).await, kept.expect("the store works"))
        });
        assert!(runs.iter().all(|(_, source)| source.starts_with("{\"name\":")), "{runs:?}");
        let distinct: BTreeSet<&str> = runs.iter().map(|(_, source)| source.as_str()).collect();
        let kept: Vec<&str> = kept.iter().filter_map(|row| row.text(0)).collect();
        assert_eq!(kept.len(), distinct.len());
        assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), distinct);
    });
}

#[test]
fn interrupted_move_of_sources_is_continued() {
    on_each_store(|upgrade| {
        let moved = on_store(&upgrade.folder, async |store| {
            let moved = sources(store).await;
            // As version 10 is in the midst of it.
            for sql in [
                EFFECTS_OF_12,
                "ALTER TABLE mpscript_step DROP COLUMN effect_tag",
                ANSWERS_OF_12,
                "DROP TABLE mpscript_lease",
                LEASES_OF_12,
                "ALTER TABLE mpscript_automation DROP COLUMN served_version",
                CONFIRMED_SINCE_15,
                "DROP TABLE mpscript_day",
                "DROP INDEX mpscript_run_started",
                "DROP INDEX mpscript_run_undoes",
                "DROP INDEX mpscript_run_source",
                "ALTER TABLE mpscript_run RENAME COLUMN source_id TO source",
                "UPDATE mpscript_run SET source = (SELECT s.text FROM mpscript_source s WHERE s.id = mpscript_run.source)
                 WHERE id IN ('b2tkvb', 'zz2gwp')",
                "UPDATE mpscript_schema SET version = 10",
            ] {
                store.execute(Statement::new(sql)).await.expect("it is SQL");
            }
            moved
        });
        assert_eq!(on_store(&upgrade.folder, async |store| sources(store).await), moved);
    });
}

/// In version 12 an effect on followers was one kind, and its tag was in its JSON only.
const EFFECTS_OF_12: &str = "UPDATE mpscript_step
    SET effect_kind = 'followers'
    WHERE effect_kind IN ('tag_attached', 'tag_detached', 'blocked', 'unblocked', 'remarked')";

/// In version 12 an answer was recorded as the platform gave it.
const ANSWERS_OF_12: &str = "UPDATE mpscript_step SET answer = SUBSTR(answer, 28, LENGTH(answer) - 28)
    WHERE state = 'done' AND SUBSTR(kind, 1, 5) = 'call:'";

const LEASES_OF_12: &str = "CREATE TABLE mpscript_lease
    (name TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, expires_at BIGINT NOT NULL)";

/// Makes a store of version 12 of one of this version, and then what a program of version 12 has written.
fn make_version_12(folder: &Folder, written: &[&'static str]) {
    on_store(folder, async |store| {
        let back = [
            EFFECTS_OF_12,
            "ALTER TABLE mpscript_step DROP COLUMN effect_tag",
            ANSWERS_OF_12,
            "DROP TABLE mpscript_lease",
            LEASES_OF_12,
            "INSERT INTO mpscript_lease (name, owner, expires_at)
             VALUES ('node 远方/1 x 0', '远方/1 x 0', 4102444800000), ('write wx5a tag 100', 'zz2gwp', 0)",
            "ALTER TABLE mpscript_automation DROP COLUMN served_version",
            CONFIRMED_SINCE_15,
            "UPDATE mpscript_schema SET version = 12",
        ];
        for sql in back.iter().chain(written).copied() {
            store.execute(Statement::new(sql)).await.expect("it is SQL");
        }
    });
}

/// Prints whom a step changed.
const CHANGED: &str = "for of in [[\"b2tkvb\", \"3\", \"attach 100\"], [\"b2tkvb\", \"4\", \"remark\"],
        [\"b2tkvb\", \"5\", \"block\"], [\"zz2gwp\", \"2\", \"remark\"]] {
    let openids = changed_by(of[0], of[1], of[2]).to_array().map(|u| u.openid);
    print(`${of[2]}: ${openids.len()} ${openids}`);
}";

#[test]
fn steps_of_version_12_have_changed_the_same_followers() {
    on_each_store(|upgrade| {
        fs::write(upgrade.folder.path().join("改动.rhai"), CHANGED).expect("a file can be written");
        let url = upgrade.sandbox.url();
        let changed = || upgrade.run(&["run", "改动.rhai", "--base-url", &url, "--quiet"]);
        let before = changed();
        for words in ["attach 100: 60 [", "remark: 5 [", "block: 20 ["] {
            assert!(before.contains(words), "{words}: {before}");
        }
        make_version_12(&upgrade.folder, &[]);
        assert_eq!(changed(), before);
    });
}

#[test]
fn changed_openids_of_version_12_have_the_same_targets() {
    on_each_store(|upgrade| {
        let changed = |folder: &Folder| {
            on_store(folder, async |store| {
                let mut reader = ChangedReader::new(store.clone(), DONE.to_owned());
                let mut all = Vec::new();
                while let Some(some) = reader.next().await.ok().filter(|some| !some.is_empty()) {
                    all.extend(some);
                }
                all
            })
        };
        let before = changed(&upgrade.folder);
        assert_eq!(before.len(), 85);
        make_version_12(&upgrade.folder, &[]);
        assert_eq!(changed(&upgrade.folder), before);
    });
}

/// What the journal has of the creation of the tag `展台`, which a job of an interrupted run asked for.
fn creation(folder: &Folder) -> String {
    on_store(folder, async |store| {
        let answer = "SELECT answer FROM mpscript_step WHERE run = 'jb6hnn' AND step = '1/0/1'";
        let rows = store.query(Statement::new(answer)).await.expect("the store works");
        rows[0].text(0).expect("it is a text").to_owned()
    })
}

#[test]
fn answer_of_version_12_is_that_of_a_call_that_was_made() {
    on_each_store(|upgrade| {
        let before = creation(&upgrade.folder);
        assert_eq!(before, r#"{"outcome":"made","answer":{"id":102,"name":"展台"}}"#);
        make_version_12(&upgrade.folder, &[]);
        assert_eq!(creation(&upgrade.folder), before);
    });
}

#[test]
fn tag_that_another_program_created_in_version_12_is_recorded_as_raced() {
    on_each_store(|upgrade| {
        let raced = "UPDATE mpscript_step SET answer = '{\"id\":102,\"name\":\"展台\",\"was_there\":true}', effect = '',
            effect_kind = '' WHERE run = 'jb6hnn' AND step = '1/0/1'";
        make_version_12(&upgrade.folder, &[raced]);
        assert_eq!(creation(&upgrade.folder), r#"{"outcome":"raced","answer":{"id":102,"name":"展台"}}"#);
        assert_eq!(upgrade.run(&["resume", IN_A_JOB, "--quiet"]), "1234\n");
    });
}

#[test]
fn leases_of_version_12_keep_their_owners() {
    on_each_store(|upgrade| {
        on_store(&upgrade.folder, async |_| ());
        make_version_12(&upgrade.folder, &[]);
        let owners = on_store(&upgrade.folder, async |store| {
            let heartbeat = LeaseKey::new(LeaseKind::Daemon, "远方/1 x 0");
            let lock = LeaseKey::new(LeaseKind::Write, "wx5a tag 100");
            (store.lease_owner(&heartbeat).await, store.lease_owner(&lock).await)
        });
        assert_eq!(owners, (Ok(Some("远方/1 x 0".to_owned())), Ok(Some("zz2gwp".to_owned()))));
    });
}

#[test]
fn effect_of_version_12_that_is_damaged_stays_and_is_reported() {
    on_each_store(|upgrade| {
        let damage = "UPDATE mpscript_step SET effect = '{\"半\":' WHERE run = 'b2tkvb' AND step = '3'";
        make_version_12(&upgrade.folder, &[damage]);
        let undone = upgrade.folder.run(&["undo", DONE, "--yes"]);
        assert_eq!(undone.code, Some(2), "{}", undone.out);
        assert!(
            undone.err.contains("`effect_kind` in row `b2tkvb/3` of mpscript_step can't be read"),
            "{}",
            undone.err
        );
        assert!(undone.err.contains("found `followers`"), "{}", undone.err);
    });
}

#[test]
fn options_of_version_5_name_the_folder_that_the_script_may_use() {
    on_each_store(|upgrade| {
        let payload = on_store(&upgrade.folder, async |store| store.run_payload(IN_A_JOB).await);
        let options: Value =
            serde_json::from_str(&payload.expect("the store works").options).expect("it is JSON");
        assert_eq!(options["roots"], json!([upgrade.folder.path()]), "{options}");
        assert_eq!(options.get("of_session"), None, "{options}");
    });
}

/// A stale automation of version 13, whose diagnostic ends with what runs.
const STALE: [(&str, &str); 2] = [
    ("失败", "hour `24` is too large; the last good version keeps running"),
    ("每秒", "it has no trigger; it does not run"),
];

/// A store of version 13 with stale automations, whose folder is served.
fn store_with_stale_automations(upgrade: &Upgrade) {
    let jobs = upgrade.folder.path().join("jobs");
    fs::create_dir(&jobs).expect("a folder can be made");
    let account = format!("{DEFAULT_APPID} {}", upgrade.sandbox.url());
    on_store(&upgrade.folder, async |store| {
        let mut changes = vec![
            Statement::new("ALTER TABLE mpscript_automation DROP COLUMN served_version"),
            Statement::new(CONFIRMED_SINCE_15),
            Statement::new("UPDATE mpscript_schema SET version = 13"),
        ];
        for (name, load_error) in STALE {
            let file = jobs.join(format!("{name}.rhai"));
            fs::write(file, "const automation = #{ on: [] };\nfn run() {").expect("a file can be written");
            let stale = "UPDATE mpscript_automation SET load_error = $2 WHERE name = $1";
            changes.push(Statement::new(stale).with(name).with(load_error));
        }
        for change in changes {
            store.execute(change).await.expect("it is SQL");
        }
        let lease = serving_lease(&account, jobs.to_str().expect("the path is UTF-8"));
        let now = store.time(&Clock::system()).await.expect("the store works");
        let is_served = store.acquire_lease(&lease, "a daemon", now, Duration::from_hours(1)).await;
        assert_eq!(is_served, Ok(true));
    });
}

#[test]
fn stale_automations_of_version_13_are_listed_in_the_same_words() {
    on_each_store(|upgrade| {
        store_with_stale_automations(&upgrade);
        let listed = upgrade.run(&["ls", "--dir", "jobs"]);
        for (name, load_error) in STALE {
            let runs = load_error.split_once("; ").expect("it says what runs").1;
            let line = listed.lines().find(|line| line.starts_with(name)).expect("it is listed");
            assert!(line.contains("STALE") && line.contains(runs), "{listed}");
        }
    });
}

#[test]
fn diagnostics_of_version_13_stand_alone() {
    on_each_store(|upgrade| {
        store_with_stale_automations(&upgrade);
        for (name, load_error) in STALE {
            let records = on_store(&upgrade.folder, async |store| records_named(store, name).await);
            let expected = load_error.split_once("; ").map(|(diagnostic, _)| diagnostic);
            assert_eq!(Some(records[0].load_error.as_str()), expected, "{records:?}");
        }
    });
}

/// Makes a store of version 14 whose programs wrote a cursor as a text: an openid, or `SEQ/NUMBER`. Returns the texts, by
/// run.
fn make_version_14(folder: &Folder) -> BTreeMap<String, String> {
    on_store(folder, async |store| {
        let steps = "SELECT run, step, checkpoint FROM mpscript_step WHERE checkpoint <> ''";
        let mut cursors = BTreeMap::new();
        for row in store.query(Statement::new(steps)).await.expect("the store works") {
            let [run, step, checkpoint] = [0, 1, 2].map(|column| row.text(column).expect("it is a text"));
            let mut checkpoint: Value = serde_json::from_str(checkpoint).expect("it is JSON");
            let cursor = &mut checkpoint["cursor"]["cursor"];
            let text = match cursor["type"].as_str() {
                Some("openid") => cursor["openid"].as_str().expect("it is an openid").to_owned(),
                Some("batch") => format!("{}/{}", cursor["seq"], cursor["number"]),
                _ => continue,
            };
            *cursor = json!(text);
            let update = "UPDATE mpscript_step SET checkpoint = $3 WHERE run = $1 AND step = $2";
            let update = Statement::new(update).with(run).with(step).with(checkpoint.to_string().as_str());
            store.execute(update).await.expect("it is SQL");
            cursors.insert(run.to_owned(), text);
        }
        for back in [CONFIRMED_SINCE_15, "UPDATE mpscript_schema SET version = 14"] {
            store.execute(Statement::new(back)).await.expect("it is SQL");
        }
        cursors
    })
}

/// Runs or undoes, and is killed when a page has ended; returns the run.
fn killed_at_a_checkpoint(folder: &Folder, arguments: &[&str]) -> String {
    let killed = folder.start_with(arguments, &[("MPSCRIPT_FAIL_POINT", "checkpoint:1")]).finish();
    assert_eq!(killed.code, None, "{} {}", killed.out, killed.err);
    newest_run_id(folder)
}

#[test]
fn job_of_version_14_resumes_after_the_openid_of_its_checkpoint() {
    on_each_store(|upgrade| {
        let Upgrade { sandbox, folder, .. } = &upgrade;
        let script = "print(followers().from_scene(98765).tag(\"另一个\").changed);";
        let run = killed_at_a_checkpoint(folder, &["run", "-e", script, "--base-url", &sandbox.url()]);
        assert_eq!(make_version_14(folder).get(&run), sandbox.openids().last(), "the first page of the list");
        let pages = sandbox.calls("GET /cgi-bin/user/get");
        assert_eq!(upgrade.run(&["resume", &run, "--quiet"]), "1234\n");
        assert_eq!(sandbox.calls("GET /cgi-bin/user/get") - pages, 1);
    });
}

#[test]
fn undo_of_version_14_resumes_after_the_batch_of_its_checkpoint() {
    on_each_store(|upgrade| {
        let Upgrade { sandbox, folder, .. } = &upgrade;
        let script = "print(followers().tag(\"全员\").changed);";
        let changed = upgrade.run(&["run", "-e", script, "--base-url", &sandbox.url(), "--quiet"]);
        let undo = killed_at_a_checkpoint(folder, &["undo", &newest_run_id(folder), "--yes", "--quiet"]);
        // A page has 200 batches.
        assert!(make_version_14(folder)[&undo].ends_with("/199"));
        upgrade.run(&["resume", &undo, "--quiet"]);
        assert_eq!(sandbox.tagged("全员"), None);
        let shown: Value =
            serde_json::from_str(&upgrade.run(&["show", &undo, "--json"])).expect("it is JSON");
        assert_eq!(format!("{}\n", shown["report"]["changed"]), changed, "{shown}");
    });
}

#[test]
fn cursor_of_version_14_that_is_damaged_stays_and_parks_its_run() {
    on_each_store(|upgrade| {
        make_version_14(&upgrade.folder);
        let checkpoint = r#"{"cursor":{"cursor":"4/半"}}"#;
        on_store(&upgrade.folder, async |store| {
            let damage = "UPDATE mpscript_step SET checkpoint = $1 WHERE run = 'jb6hnn' AND step = '1'";
            assert_eq!(store.execute(Statement::new(damage).with(checkpoint)).await, Ok(1));
            for back in [CONFIRMED_SINCE_15, "UPDATE mpscript_schema SET version = 14"] {
                store.execute(Statement::new(back)).await.expect("it is SQL");
            }
        });
        let resumed = upgrade.folder.run(&["resume", IN_A_JOB, "--quiet"]);
        assert_eq!(resumed.code, Some(5), "{}", resumed.err);
        let expected = format!(
            "`checkpoint` in row `jb6hnn/1` of mpscript_step can't be read: expected a checkpoint, as JSON, found \
             `{checkpoint}` ("
        );
        assert!(resumed.err.contains(&expected), "{}", resumed.err);
        let found = on_store(&upgrade.folder, async |store| {
            let checkpoint = "SELECT checkpoint FROM mpscript_step WHERE run = 'jb6hnn' AND step = '1'";
            let rows = store.query(Statement::new(checkpoint)).await.expect("the store works");
            rows[0].text(0).map(str::to_owned)
        });
        assert_eq!(found.as_deref(), Some(checkpoint));
    });
}

/// What version 15 added, undone.
const CONFIRMED_SINCE_15: &str = "ALTER TABLE mpscript_automation DROP COLUMN confirmed_at";

/// Makes a store of version 14 whose programs wrote 0 for the id of a tag whose creation is in doubt.
fn make_version_14_with_unknown_ids(folder: &Folder) {
    let names = "delete_tag_if_empty(0, \"新\")";
    on_store(folder, async |store| {
        for statement in [
            Statement::new("UPDATE mpscript_step SET effect = REPLACE(effect, '\"id\":null', '\"id\":0')"),
            Statement::new(
                "UPDATE mpscript_run SET source_id = 'x' || source_id WHERE source_id IN (
                     SELECT id FROM mpscript_source WHERE text LIKE '%{ delete_tag_if_empty(%')",
            ),
            Statement::new(
                "UPDATE mpscript_source
                 SET id = 'x' || id, text = REPLACE(text, 'delete_tag_if_empty(', 'delete_tag_if_empty(0, ')
                 WHERE text LIKE '%{ delete_tag_if_empty(%'",
            ),
            Statement::new(
                "UPDATE mpscript_step SET label = $1, fingerprint = $2 WHERE label LIKE 'delete_tag_if_empty(%'",
            )
            .with(names)
            .with(fingerprint([names]).as_str()),
            Statement::new(CONFIRMED_SINCE_15),
            Statement::new("UPDATE mpscript_schema SET version = 14"),
        ] {
            store.execute(statement).await.expect("it is SQL");
        }
    });
}

/// Creates the tag `新`, and is killed before its answer is recorded; returns the run.
fn killed_while_it_creates_a_tag(upgrade: &Upgrade) -> String {
    let (folder, url) = (&upgrade.folder, upgrade.sandbox.url());
    let arguments = ["run", "-e", "tag::create(\"新\")", "--base-url", &url];
    let killed = folder.start_with(&arguments, &[("MPSCRIPT_FAIL_POINT", "call-made:1")]).finish();
    assert_eq!(killed.code, None, "{} {}", killed.out, killed.err);
    newest_run_id(folder)
}

#[test]
fn tag_whose_creation_is_in_doubt_since_version_14_is_undone() {
    on_each_store(|upgrade| {
        let run = killed_while_it_creates_a_tag(&upgrade);
        make_version_14_with_unknown_ids(&upgrade.folder);
        upgrade.run(&["undo", &run, "--yes", "--quiet"]);
        assert_eq!(upgrade.sandbox.tagged("新"), None);
    });
}

#[test]
fn undo_of_version_14_that_knows_a_tag_by_its_name_is_resumed() {
    on_each_store(|upgrade| {
        let run = killed_while_it_creates_a_tag(&upgrade);
        let undo = ["undo", &run, "--yes", "--quiet"];
        let killed = upgrade.folder.start_with(&undo, &[("MPSCRIPT_FAIL_POINT", "call-intent:1")]).finish();
        assert_eq!(killed.code, None, "{} {}", killed.out, killed.err);
        let undo = newest_run_id(&upgrade.folder);
        make_version_14_with_unknown_ids(&upgrade.folder);
        assert_eq!(upgrade.sandbox.tagged("新"), Some(0));
        upgrade.run(&["resume", &undo, "--quiet"]);
        assert_eq!(upgrade.sandbox.tagged("新"), None);
    });
}

#[test]
fn runs_of_version_5_are_listed_and_shown() {
    on_each_store(|upgrade| {
        let states = [DONE, IN_A_JOB, IN_A_LOOP, PARKED].map(|run| upgrade.state(run));
        assert_eq!(json!(states), json!(["done", "interrupted", "interrupted", "parked"]));
        let shown = upgrade.run(&["show", DONE]);
        for word in ["贵宾", "remark", "block"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
    });
}

#[test]
fn job_interrupted_in_version_5_resumes_from_its_checkpoint() {
    on_each_store(|upgrade| {
        let before = upgrade.sandbox.calls("POST /cgi-bin/tags/members/batchtagging");
        assert_eq!(upgrade.run(&["resume", IN_A_JOB, "--quiet"]), "1234\n");
        assert_eq!(upgrade.sandbox.tagged("展台"), Some(1234));
        let calls = upgrade.sandbox.calls("POST /cgi-bin/tags/members/batchtagging") - before;
        assert_eq!(calls, 22, "the three batches of before are not sent again");
    });
}

#[test]
fn loop_interrupted_in_version_5_makes_no_call_twice() {
    on_each_store(|upgrade| {
        let before = upgrade.sandbox.calls("POST /cgi-bin/tags/members/batchtagging");
        assert_eq!(upgrade.run(&["resume", IN_A_LOOP, "--quiet"]), "done\n");
        assert_eq!(upgrade.sandbox.tagged("逐个"), Some(40));
        assert_eq!(upgrade.sandbox.calls("POST /cgi-bin/tags/members/batchtagging") - before, 36);
    });
}

#[test]
fn call_in_doubt_since_version_5_is_retried_on_request() {
    on_each_store(|upgrade| {
        let parked = upgrade.folder.run(&["resume", PARKED, "--quiet"]);
        assert_eq!(parked.code, Some(5), "{}", parked.err);
        assert_eq!(upgrade.run(&["resume", PARKED, "--quiet", "--resolve", "retry"]), "true\n");
        assert_eq!(upgrade.sandbox.calls("POST /card/create"), 1);
    });
}

#[test]
fn run_done_in_version_5_can_be_undone() {
    on_each_store(|upgrade| {
        upgrade.run(&["undo", DONE, "--yes", "--quiet"]);
        assert_eq!(upgrade.sandbox.tagged("贵宾"), None);
        assert_eq!(upgrade.sandbox.tagged("老客户"), None);
        let world = upgrade.sandbox.get("/__sandbox/world");
        assert_eq!(world["blacklist"], upgrade.blacklist, "{world}");
    });
}

#[test]
fn undo_interrupted_in_version_5_reports_what_it_skips() {
    on_each_store(|upgrade| {
        let undo = upgrade.folder.run(&["resume", "u7n3do", "--quiet"]);
        assert_eq!(undo.code, Some(3), "{}", undo.err);
        assert!(undo.err.contains("not undone: step 3: 标签0不能删除"), "{}", undo.err);
        assert!(undo.err.contains("not undone: step 2: "), "{}", undo.err);
    });
}

#[test]
fn automations_of_version_5_keep_their_state() {
    on_each_store(|upgrade| {
        fs::create_dir(upgrade.folder.path().join("jobs")).expect("a folder can be made");
        let automation = "const automation = #{ on: [ #{ every: \"1s\" } ] };
            fn run(ctx, p) { ctx.state.n = (ctx.state?.n ?? 0) + 1; print(`第${ctx.state.n}次`); }";
        fs::write(upgrade.folder.path().join("jobs/每秒.rhai"), automation).expect("a file can be written");
        let url = upgrade.sandbox.url();
        let output = upgrade.run(&["run", "每秒", "--dir", "jobs", "--base-url", &url, "--quiet"]);
        assert_eq!(output, "第7次\n");
        assert!(upgrade.run(&["why", "失败"]).contains("failed"));
    });
}

#[test]
fn fires_of_version_5_have_the_account_of_their_runs() {
    on_each_store(|upgrade| {
        let account = format!("{DEFAULT_APPID} {}", upgrade.sandbox.url());
        let id = AutomationId::new(&account, "失败");
        let fires = on_store(&upgrade.folder, async |store| fires_of(store, &id).await);
        assert!(fires.iter().any(|fire| fire.state == FireState::Armed), "{fires:?}");
        assert!(fires.iter().any(|fire| fire.state == FireState::Failed), "{fires:?}");
    });
}

#[test]
fn automation_of_version_5_that_never_ran_is_adopted_with_its_fires() {
    on_each_store(|upgrade| {
        fs::create_dir(upgrade.folder.path().join("jobs")).expect("a folder can be made");
        let automation = "const automation = #{ on: [ #{ cron: \"0 0 1 1 *\" } ] };\nfn run() { }";
        fs::write(upgrade.folder.path().join("jobs/待命.rhai"), automation).expect("a file can be written");
        let url = upgrade.sandbox.url();
        let daemon = upgrade.folder.start(&["serve", "jobs", "--base-url", &url]);
        daemon.wait_for("待命: live");
        daemon.signal("TERM");
        assert_eq!(daemon.finish().code, Some(0));
        let (records, fires) = on_store(&upgrade.folder, async |store| {
            let records = records_named(store, "待命").await;
            let fires = fires_of(store, &records[0].id).await;
            (records, fires)
        });
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0].id.account, format!("{DEFAULT_APPID} {url}"));
        assert_eq!(records[0].state, "{\"n\":41}");
        assert_eq!(fires.len(), 1, "{fires:?}");
        assert_eq!(fires[0].scheduled_at, EpochMs::new(1_795_902_690_175));
    });
}
