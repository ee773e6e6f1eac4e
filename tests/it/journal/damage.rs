//! Rows of a journal that can't be decoded, on SQLite and on PostgreSQL: the error names the row, what was expected and
//! what was found; the run parks, `show` and `undo` report it, and nothing is overwritten.

use crate::fixtures::{
    program::Folder,
    runs::{newest_run_id, on_each_store, on_store},
    sandbox_process::SandboxProcess,
};
use mpscript::store::Statement;

/// The count is done when the run dies; the tag has its effect, and a batch without an outcome.
const SCRIPT: &str =
    "print(followers().count()); print(followers().from_scene(98765).tag(\"展台\").changed);";

/// Everything that the journal of a run holds, but the numbers of its steps.
fn journal(folder: &Folder, run: &str) -> Vec<String> {
    on_store(folder, async |store| {
        let mut rows = Vec::new();
        for sql in [
            "SELECT step || '|' || kind || '|' || fingerprint || '|' || label || '|' || state || '|' || effect || '|'
                 || checkpoint || '|' || answer FROM mpscript_step WHERE run = $1 ORDER BY step",
            "SELECT step || '|' || items || '|' || unresolved || '|' || failed FROM mpscript_batch
             WHERE run = $1 ORDER BY step, number",
        ] {
            let found = store.query(Statement::new(sql).with(run)).await.expect("the store works");
            rows.extend(found.iter().filter_map(|row| row.text(0)).map(str::to_owned));
        }
        rows
    })
}

/// What is damaged, what the error says of it, and the exit code of an undo that reads it too: 2 where it can't be planned, 5
/// where its run parks.
const DAMAGES: [(&str, &str, Option<i32>); 36] = [
    (
        "UPDATE mpscript_step SET kind = 'terminal:stamp' WHERE run = $1 AND step = '2'",
        "`kind` in row `RUN/2` of mpscript_step can't be read: expected `call:` or `terminal:` with the name of one, \
         found `terminal:stamp`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET state = '半' WHERE run = $1 AND step = '2'",
        "`state` in row `RUN/2` of mpscript_step can't be read: expected one of `begun` `done` `failed`, found `半`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect = '{\"effect\":\"stamp\"}' WHERE run = $1 AND step = '2'",
        "`effect` in row `RUN/2` of mpscript_step can't be read: expected an effect, as JSON, found \
         `{\"effect\":\"stamp\"}` (unknown variant `stamp`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect_kind = 'stamped' WHERE run = $1 AND step = '2'",
        "`effect_kind` in row `RUN/2` of mpscript_step can't be read: expected one of `tag_attached` `tag_detached` \
         `blocked` `unblocked` `remarked` `tag_created` `tag_renamed` `tag_deleted` `irreversible`, found `stamped`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect_kind = 'remarked' WHERE run = $1 AND step = '2'",
        "`effect_kind` in row `RUN/2` of mpscript_step can't be read: expected an effect that a step of the kind \
         `terminal:tag` has, found `remarked`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect = '{\"effect\":\"followers\",\"of\":{\"change\":\"block\"}}' \
         WHERE run = $1 AND step = '2'",
        "`effect` in row `RUN/2` of mpscript_step can't be read: expected an effect of the kind `tag_attached`, found one \
         of the kind `blocked`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect_kind = 'tag_created', \
         effect = '{\"effect\":\"tag_created\",\"of\":{\"id\":100,\"name\":\"展台\"}}' WHERE run = $1 AND step = '2'",
        "`effect_kind` in row `RUN/2` of mpscript_step can't be read: expected an effect that a step of the kind \
         `terminal:tag` has, found `tag_created`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect_kind = '', effect_tag = 0, effect = '' WHERE run = $1 AND step = '2'",
        "`effect_kind` in row `RUN/2` of mpscript_step can't be read: expected the kind of the effect that the step's \
         batches had, found none",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect_kind = '' WHERE run = $1 AND step = '2'",
        "`effect_kind` in row `RUN/2` of mpscript_step can't be read: expected the kind of the effect in `effect`, found \
         none",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect_tag = 4711 WHERE run = $1 AND step = '2'",
        "`effect_tag` in row `RUN/2` of mpscript_step can't be read: expected 100, the tag of the effect in `effect`, found \
         4711",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect_tag = 0 WHERE run = $1 AND step = '2'",
        "`effect_tag` in row `RUN/2` of mpscript_step can't be read: expected 100, the tag of the effect in `effect`, found \
         0",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET effect = '{\"effect\":\"followers\",\"of\":{\"change\":\"attach\",\"tag\":4711}}' \
         WHERE run = $1 AND step = '2'",
        "`effect_tag` in row `RUN/2` of mpscript_step can't be read: expected 4711, the tag of the effect in `effect`, found \
         100",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET checkpoint = '{\"cursor\":' WHERE run = $1 AND step = '2'",
        "`checkpoint` in row `RUN/2` of mpscript_step can't be read: expected a checkpoint, as JSON, found \
         `{\"cursor\":` (EOF while parsing",
        None,
    ),
    (
        "UPDATE mpscript_step SET checkpoint = '{\"cursor\":{\"cursor\":\"4/半\"}}' WHERE run = $1 AND step = '2'",
        "`checkpoint` in row `RUN/2` of mpscript_step can't be read: expected a checkpoint, as JSON, found \
         `{\"cursor\":{\"cursor\":\"4/半\"}}` (invalid type: string \"4/半\", expected internally tagged enum Cursor at line",
        None,
    ),
    (
        "UPDATE mpscript_step SET checkpoint = '{\"cursor\":{\"cursor\":{\"type\":\"batch\",\"seq\":4,\
         \"number\":199},\"page\":1,\"listed\":3000,\"fallback\":null,\"is_last\":true,\"total\":3000},\
         \"has_written\":false,\"counts\":{\"fetched\":0,\"matched\":0,\"unmatched\":0,\"gone\":0,\
         \"already\":0},\"failed\":[],\"take_remaining\":[],\"waiting\":{\"type\":\"openids\",\
         \"items\":[]},\"next_batch\":0,\"already_batched\":[],\"sampled\":null,\
         \"accumulator\":null}' WHERE run = $1 AND step = '2'",
        "`checkpoint` in row `RUN/2` of mpscript_step can't be read: expected the cursor of a list of the platform's, an \
         openid, found the batch `4/199`",
        None,
    ),
    (
        "UPDATE mpscript_step SET answer = '{\"report\":' WHERE run = $1 AND step = '1'",
        "`answer` in row `RUN/1` of mpscript_step can't be read: expected the answer of a terminal operation, as JSON, found \
         `{\"report\":` (EOF while parsing",
        None,
    ),
    (
        "UPDATE mpscript_batch SET items = '[\"oABC\"]' WHERE run = $1 AND step = '2' AND number = 0",
        "`items` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected the items of a batch, as JSON, found \
         `[\"oABC\"]` (",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET size = 1, pending = 1, in_doubt = 1, \
         items = '{\"type\":\"remarks\",\"items\":[[\"oABC\",\"新\",\"旧\"]]}' WHERE run = $1 AND step = '2' AND number = 0",
        "`items` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected items of the type `openids`, found items \
         of the type `remarks`",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET pending = 1, in_doubt = 0, unresolved = \
         '{\"in_doubt\":{\"type\":\"openids\",\"items\":[]},\
         \"not_sent\":{\"type\":\"remarks\",\"items\":[[\"oABC\",\"新\",\"旧\"]]}}' \
         WHERE run = $1 AND step = '2' AND number = 0",
        "`unresolved` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected items of the type `openids`, found \
         items of the type `remarks`",
        Some(5),
    ),
    (
        "UPDATE mpscript_step SET checkpoint = '{\"cursor\":{\"cursor\":null,\"page\":1,\"listed\":3000,\
         \"fallback\":null,\"is_last\":true,\"total\":3000},\
         \"has_written\":false,\"counts\":{\"fetched\":0,\"matched\":0,\"unmatched\":0,\"gone\":0,\
         \"already\":0},\"failed\":[],\"take_remaining\":[],\"waiting\":{\"type\":\"remarks\",\
         \"items\":[[\"oABC\",\"新\",\"旧\"]]},\"next_batch\":0,\"already_batched\":[],\"sampled\":null,\
         \"accumulator\":null}' WHERE run = $1 AND step = '2'",
        "`checkpoint` in row `RUN/2` of mpscript_step can't be read: expected in `waiting` items of the type `openids`, \
         found items of the type `remarks`",
        None,
    ),
    (
        "UPDATE mpscript_batch SET unresolved = '{\"in_doubt\":' WHERE run = $1 AND step = '2' AND number = 0",
        "`unresolved` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected the items without an outcome, as \
         JSON, found `{\"in_doubt\":` (EOF while parsing",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET failed = '[{', failures = 1, pending = 0, in_doubt = 0 WHERE run = $1 AND step = '2' AND number = 0",
        "`failed` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected the items that failed, as JSON, \
         found `[{` (EOF while parsing",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET failures = 1, pending = 0, in_doubt = 0 WHERE run = $1 AND step = '2' AND number = 0",
        "`failed` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected the items that failed, as JSON, 1 of them, \
         found an empty text",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET pending = 20, in_doubt = 20 WHERE run = $1 AND step = '2' AND number = 0",
        "`unresolved` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected the items without an outcome, as \
         JSON, 20 of them, found an empty text",
        Some(5),
    ),
    (
        "UPDATE mpscript_step SET step = '2x' WHERE run = $1 AND step = '2'",
        "`step` in row `RUN/2x` of mpscript_step can't be read: expected numbers separated by `/`: that of a step, or of a \
         step, a page and its step, found `2x`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET step = '02' WHERE run = $1 AND step = '2'",
        "`step` in row `RUN/02` of mpscript_step can't be read: expected numbers separated by `/`: that of a step, or of a \
         step, a page and its step, found `02`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET step = '' WHERE run = $1 AND step = '2'",
        "`step` in row `RUN/` of mpscript_step can't be read: expected numbers separated by `/`: that of a step, or of a \
         step, a page and its step, found ``",
        Some(2),
    ),
    (
        "UPDATE mpscript_batch SET step = '2x' WHERE run = $1 AND step = '2' AND number = 0",
        "`step` in row `RUN/2x batch 0` of mpscript_batch can't be read: expected the place of a recorded step, found `2x`",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET seq = -2 WHERE run = $1 AND step = '2'",
        "`seq` in row `RUN/2` of mpscript_step can't be read: expected a whole number from 0 on, found -2",
        Some(2),
    ),
    (
        "UPDATE mpscript_batch SET number = -7 WHERE run = $1 AND step = '2' AND number = 0",
        "`number` in row `RUN/2 batch -7` of mpscript_batch can't be read: expected a whole number from 0 on, found -7",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET pending = -1 WHERE run = $1 AND step = '2' AND number = 0",
        "`pending` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected a whole number from 0 on, found -1",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET in_doubt = -3 WHERE run = $1 AND step = '2' AND number = 0",
        "`in_doubt` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected a whole number from 0 on, found -3",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET failures = 51 WHERE run = $1 AND step = '2' AND number = 0",
        "`size` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected at least `pending` and `failures` \
         together, and `pending` at least `in_doubt`, found size 50, pending 50, in_doubt 50, failures 51",
        Some(5),
    ),
    (
        "UPDATE mpscript_step SET answer = REPLACE(answer, '\"value\":3000', '\"value\":null') \
         WHERE run = $1 AND step = '1'",
        "`answer` in row `RUN/1` of mpscript_step can't be read: expected a count, as JSON, found `null` (invalid type",
        None,
    ),
    (
        "UPDATE mpscript_step SET state = 'begun', answer = '', checkpoint = '{\"cursor\":{\"cursor\":null,\
         \"page\":1,\"listed\":3000,\"fallback\":null,\"is_last\":true,\"total\":3000},\
         \"has_written\":false,\"counts\":{\"fetched\":0,\"matched\":0,\"unmatched\":0,\"gone\":0,\
         \"already\":0},\"failed\":[],\"take_remaining\":[],\"waiting\":{\"type\":\"openids\",\
         \"items\":[]},\"next_batch\":0,\"already_batched\":[],\"sampled\":null,\
         \"accumulator\":null}' WHERE run = $1 AND step = '1'",
        "`checkpoint` in row `RUN/1` of mpscript_step can't be read: expected a count, as JSON, found `null` (invalid type",
        None,
    ),
    (
        "UPDATE mpscript_step SET answer = '{\"report\":7,\"value\":null}' WHERE run = $1 AND step = '1'",
        "`answer` in row `RUN/1` of mpscript_step can't be read: expected the answer of a terminal operation, as JSON, \
         found `{\"report\":7,\"value\":null}` (invalid type",
        None,
    ),
];

/// Numbers that only SQLite lets a row have: it keeps what it can't convert.
const DAMAGED_NUMBERS: [(&str, &str, Option<i32>); 6] = [
    (
        "UPDATE mpscript_step SET seq = '半' WHERE run = $1 AND step = '2'",
        "`seq` in row `RUN/2` of mpscript_step can't be read: expected a whole number from 0 on, found a text of 3 bytes",
        None,
    ),
    (
        "UPDATE mpscript_step SET target_id = 1.5 WHERE run = $1 AND step = '2'",
        "`target_id` in row `RUN/2` of mpscript_step can't be read: expected a whole number, found neither a whole number \
         nor a text",
        Some(2),
    ),
    (
        "UPDATE mpscript_step SET label = x'ff' WHERE run = $1 AND step = '2'",
        "`label` in row `RUN/2` of mpscript_step can't be read: expected a text, found neither a whole number nor a text",
        Some(2),
    ),
    (
        "UPDATE mpscript_batch SET pending = '半' WHERE run = $1 AND step = '2' AND number = 0",
        "`pending` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected a whole number from 0 on, found a text \
         of 3 bytes",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET size = '半' WHERE run = $1 AND step = '2' AND number = 0",
        "`size` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected a whole number from 0 on, found a text of 3 \
         bytes",
        Some(5),
    ),
    (
        "UPDATE mpscript_batch SET failures = 0.5 WHERE run = $1 AND step = '2' AND number = 0",
        "`failures` in row `RUN/2 batch 0` of mpscript_batch can't be read: expected a whole number from 0 on, found neither \
         a whole number nor a text",
        Some(5),
    ),
];

#[test]
fn damaged_number_on_sqlite_parks_the_run_and_is_not_overwritten() {
    parks_at(&DAMAGED_NUMBERS, |folder| folder.env("MPSCRIPT_STORE", "store.sqlite3"));
}

#[test]
fn damaged_row_parks_the_run_and_is_not_overwritten() {
    on_each_store(|with_store| parks_at(&DAMAGES, with_store));
}

/// Damages the journal of a run that was killed, in each of these ways, and resumes and undoes it.
fn parks_at(damages: &[(&'static str, &str, Option<i32>)], with_store: fn(Folder) -> Folder) {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--scene", "98765=600"]);
    for (sql, expected, undo_code) in damages {
        sandbox.control("reset", &serde_json::json!({}));
        let folder = with_store(Folder::with(SCRIPT).account()).env("MPSCRIPT_FAIL_POINT", "batch-intent:1");
        let killed = sandbox.run(&folder, &["--in-flight", "2"]);
        assert_eq!(killed.code, None, "{}", killed.err);
        let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
        let run = newest_run_id(&folder);
        on_store(&folder, async |store| {
            assert_eq!(store.execute(Statement::new(sql).with(run.as_str())).await, Ok(1), "{sql}");
        });
        let before = journal(&folder, &run);
        let expected = expected.replace("RUN", &run);
        let resumed = folder.run(&["resume", &run]);
        assert!(resumed.err.contains(&expected), "{sql}: {} {}", resumed.out, resumed.err);
        assert_eq!(journal(&folder, &run), before, "{sql}");
        let shown = folder.run(&["show", &run]).success();
        assert!(shown.contains("parked") && shown.contains(&expected), "{sql}: {shown}");
        if undo_code.is_some() {
            let undone = folder.run(&["undo", &run, "--yes"]);
            assert_eq!(undone.code, *undo_code, "{sql}: {}", undone.out);
            assert!(undone.err.contains(&expected), "{sql}: {}", undone.err);
            assert_eq!(journal(&folder, &run), before, "{sql}");
        }
    }
}

/// A script whose first step is a call, and which dies in its second.
fn damaged_call(call: &str, answer: &str, expected: &str) {
    let script = format!("{call} print(followers().from_scene(98765).tag(\"展台\").changed);");
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "3000", "--scene", "98765=600"]);
        let folder = with_store(Folder::with(&script).account()).env("MPSCRIPT_FAIL_POINT", "batch-intent:1");
        assert_eq!(sandbox.run(&folder, &["--in-flight", "2"]).code, None);
        let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
        let run = newest_run_id(&folder);
        on_store(&folder, async |store| {
            let sql = "UPDATE mpscript_step SET answer = $2 WHERE run = $1 AND step = '1'";
            let damage = Statement::new(sql).with(run.as_str()).with(answer);
            assert_eq!(store.execute(damage).await, Ok(1));
        });
        let before = journal(&folder, &run);
        let resumed = folder.run(&["resume", &run]);
        assert_eq!(resumed.code, Some(5), "{} {}", resumed.out, resumed.err);
        let expected = format!("`answer` in row `{run}/1` of mpscript_step can't be read: {expected}");
        assert!(resumed.err.contains(&expected), "{}", resumed.err);
        assert_eq!(journal(&folder, &run), before);
    });
}

#[test]
fn damaged_error_of_a_call_parks_the_run() {
    damaged_call(
        "try { tag::delete(4711); } catch (e) { print(e.errcode); }",
        "{\"errcode\":45159}",
        "expected the error of a call, as JSON, found `{\"errcode\":45159}` (missing field `message`",
    );
}

#[test]
fn answer_of_a_call_without_its_outcome_parks_the_run() {
    damaged_call(
        "print(tag::create(\"老客户\").id);",
        "{\"id\":100,\"name\":\"老客户\"}",
        "expected the outcome of a call, as JSON, found `{\"id\":100,\"name\":\"老客户\"}` (invalid value: string \"id\"",
    );
}

#[test]
fn damaged_answer_of_a_call_parks_the_run() {
    damaged_call(
        "try { print(tag::create(\"老客户\").id); } catch (e) { print(e.message); }",
        "{\"outcome\":\"made\",\"answer\":{\"name\":\"老客户\"}}",
        "expected the outcome of this call, as JSON, found `{\"outcome\":\"made\",\"answer\":{\"name\":\"老客户\"}}` (missing field \
         `id`",
    );
}

#[test]
fn emptied_effect_of_a_call_parks_the_run_and_is_not_overwritten() {
    let script = "let t = tag::create(\"老客户\"); tag::attach(t, user::list().data.openid.extract(0, 5));";
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "100"]);
        let folder = with_store(Folder::with(script).account()).env("MPSCRIPT_FAIL_POINT", "call-made:2");
        assert_eq!(sandbox.run(&folder, &[]).code, None);
        let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
        let run = newest_run_id(&folder);
        on_store(&folder, async |store| {
            let sql = "UPDATE mpscript_step SET effect_kind = '', effect = '' WHERE run = $1 AND step = '2'";
            assert_eq!(store.execute(Statement::new(sql).with(run.as_str())).await, Ok(1));
        });
        let before = journal(&folder, &run);
        let resumed = folder.run(&["resume", &run]);
        assert_eq!(resumed.code, Some(5), "{} {}", resumed.out, resumed.err);
        let expected = format!(
            "`effect_kind` in row `{run}/2` of mpscript_step can't be read: expected the kind of the effect that the \
             step's batches had, found none"
        );
        assert!(resumed.err.contains(&expected), "{}", resumed.err);
        assert_eq!(journal(&folder, &run), before);
    });
}

#[test]
fn items_without_a_remark_write_no_empty_one() {
    let script = "followers().take(3).remark(|u| \"客户\");";
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "10"]);
        let folder = with_store(Folder::with(script).account()).env("MPSCRIPT_FAIL_POINT", "batch-call:2");
        assert_eq!(sandbox.run(&folder, &["--in-flight", "1"]).code, None);
        let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
        let run = newest_run_id(&folder);
        on_store(&folder, async |store| {
            let openids = "SELECT items FROM mpscript_batch WHERE run = $1 AND number = 0";
            let rows =
                store.query(Statement::new(openids).with(run.as_str())).await.expect("the store works");
            let items: serde_json::Value =
                serde_json::from_str(rows[0].text(0).expect("it is there")).expect("it is JSON");
            let damaged = serde_json::json!({"type": "openids", "items": [items["items"][0][0]]}).to_string();
            let sql = "UPDATE mpscript_batch SET items = $2, unresolved = '', failed = '', pending = 1, in_doubt = 1 \
                       WHERE run = $1 AND number = 0";
            let damage = Statement::new(sql).with(run.as_str()).with(damaged.as_str());
            assert_eq!(store.execute(damage).await, Ok(1));
        });
        let (before, changed) = (journal(&folder, &run), sandbox.world());
        let expected = format!(
            "`items` in row `{run}/1 batch 0` of mpscript_batch can't be read: expected items of the type `remarks`, \
             found items of the type `openids`"
        );
        for command in [&["resume", &run][..], &["undo", &run, "--yes"]] {
            let refused = folder.run(command);
            assert_eq!(refused.code, Some(5), "{command:?}: {} {}", refused.out, refused.err);
            assert!(refused.err.contains(&expected), "{command:?}: {}", refused.err);
            assert_eq!(journal(&folder, &run), before, "{command:?}");
        }
        assert_eq!(sandbox.world(), changed);
    });
}
