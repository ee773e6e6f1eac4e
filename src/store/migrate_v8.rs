//! Version 8: a recorded error has a kind, where it had a flag for each; recorded undo scripts call `skip_undo_step`,
//! which was `not_taken_back`.

use super::{Row, Statement, Store, driver::BoxFuture};
use serde_json::{Value, json};

pub(super) const SQL: &[&str] = &[
    // An undo script has this text at the end of each of its statements, as the program wrote it.
    "UPDATE mpscript_run SET source = REPLACE(source, 'catch (e) { not_taken_back(', 'catch (e) { skip_undo_step(')
     WHERE undoes <> ''",
];

/// The errcode of the used-up quota of a day.
const DAILY_QUOTA: i64 = 45009;

/// Reads the failed steps of version 7; gives the statements that convert their errors.
pub(super) fn convert(store: &Store) -> BoxFuture<'_, Vec<Statement>> {
    Box::pin(async move {
        let failed = "SELECT run, step, answer FROM mpscript_step WHERE state = 'failed'";
        Ok(store.query(Statement::new(failed)).await?.iter().filter_map(step).collect())
    })
}

/// A row that can't be read stays as it is: whatever needs that row reports it.
fn step(row: &Row) -> Option<Statement> {
    let answer = answer(row.text(2)?)?.to_string();
    let statement = Statement::new("UPDATE mpscript_step SET answer = $3 WHERE run = $1 AND step = $2");
    Some(statement.with(row.text(0)?).with(row.text(1)?).with(answer.as_str()))
}

/// What a failed step recorded: a call its error, a job its error beside its report.
fn answer(old: &str) -> Option<Value> {
    let mut answer: Value = serde_json::from_str(old).ok()?;
    let error = if answer["error"].is_object() { &mut answer["error"] } else { &mut answer };
    let error = error.as_object_mut()?;
    let mut flag = |name: &str| error.remove(name)?.as_bool();
    let (is_configuration, is_cancelled, in_doubt) =
        (flag("is_configuration")?, flag("is_cancelled")?, flag("is_unsure")?);
    let kind = match () {
        () if error["errcode"] == DAILY_QUOTA => "quota",
        () if is_cancelled => "cancelled",
        () if is_configuration => "configuration",
        () => "script",
    };
    error.insert("kind".to_owned(), json!(kind));
    error.insert("in_doubt".to_owned(), json!(in_doubt));
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old_error(errcode: &Value, flag: &str) -> Value {
        let mut error = json!({"message": "错", "errcode": errcode, "is_configuration": false,
            "is_cancelled": false, "is_unsure": false});
        if !flag.is_empty() {
            error[flag] = json!(true);
        }
        error
    }

    #[test]
    fn flags_of_an_error_become_its_kind() {
        for (errcode, flag, kind, in_doubt) in [
            (json!(45056), "", "script", false),
            (json!(null), "is_configuration", "configuration", false),
            (json!(null), "is_cancelled", "cancelled", false),
            (json!(45009), "", "quota", false),
            (json!(-1), "is_unsure", "script", true),
            (json!(45009), "is_unsure", "quota", true),
        ] {
            let new = json!({"message": "错", "errcode": errcode, "kind": kind, "in_doubt": in_doubt});
            assert_eq!(answer(&old_error(&errcode, flag).to_string()), Some(new), "{errcode} {flag}");
        }
    }

    #[test]
    fn report_beside_the_error_of_a_job_is_kept() {
        let old = json!({"error": old_error(&json!(45056), ""), "report": {"changed": 3}});
        let new = json!({"error": {"message": "错", "errcode": 45056, "kind": "script", "in_doubt": false},
            "report": {"changed": 3}});
        assert_eq!(answer(&old.to_string()), Some(new));
    }

    #[test]
    fn answer_of_another_form_is_left_as_it_is() {
        assert_eq!(answer("[1, 2]"), None);
        assert_eq!(answer("{\"message\": \"错\"}"), None);
    }
}
