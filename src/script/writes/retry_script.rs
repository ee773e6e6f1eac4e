//! The script that repeats a run's changes for the openids that failed, made of its report.

use crate::{
    base::{Diagnostic, Setting, SettingNames},
    bulk::{OperationReport, RunReport, Target},
    store::TerminalKind,
};
use serde_json::{Value, json};

/// The script of a report; empty when no openid failed.
///
/// # Errors
/// When only the run's own script knows what to do for them.
pub fn retry_script(report: &RunReport, names: SettingNames) -> Result<String, Diagnostic> {
    if report.dry_run {
        let message = "it was a dry run: it was to change nothing";
        let hint = format!("mpscript run, without {}, does it", names.of(Setting::DryRun));
        return Err(Diagnostic::new(message).hint(hint));
    }
    let failed = report.operations.iter().filter(|job| !job.failed.is_empty());
    failed.map(statement).collect()
}

fn statement(job: &OperationReport) -> Result<String, Diagnostic> {
    // Without the details it is unknown whether they pass the filters of the run's script.
    if job.failed.iter().any(|failed| failed.is_of_details) {
        let title = job.title();
        let message =
            format!("{title}: the details of some were refused, so it is unknown whether they match");
        let hint = "run the script again: followers that it has already changed cost no call";
        return Err(Diagnostic::new(message).hint(hint));
    }
    let openids: Vec<&str> = job.failed.iter().map(|failed| failed.openid.as_str()).collect();
    let openids = json!(openids);
    let tag: Value = match &job.target {
        Some(Target::TagId(id)) => json!(id),
        Some(Target::Name(name)) => json!(name),
        None => Value::Null,
    };
    match job.operation {
        kind @ (TerminalKind::Tag | TerminalKind::Untag) => {
            Ok(format!("openids({openids}).{kind}({tag});\n"))
        }
        kind @ (TerminalKind::Block | TerminalKind::Unblock) => Ok(format!("openids({openids}).{kind}();\n")),
        kind @ (TerminalKind::Remark
        | TerminalKind::RestoreRemark
        | TerminalKind::Each
        | TerminalKind::For
        | TerminalKind::Count
        | TerminalKind::CountBy
        | TerminalKind::WriteCsv
        | TerminalKind::ToArray) => {
            let message =
                format!("`{kind}` can't be retried for some openids: what it does is in the script");
            Err(Diagnostic::new(message).hint("run the script again, with a filter for them"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::{Failure, RunState};
    use std::{collections::BTreeMap, time::Duration};

    fn job(operation: TerminalKind, target: Option<Target>) -> OperationReport {
        let failed = ["甲", "乙"].map(|openid| Failure {
            openid: openid.to_owned(),
            errcode: Some(-1),
            errmsg: "system error".to_owned(),
            rid: None,
            is_of_details: false,
        });
        OperationReport {
            target,
            failed: failed.to_vec(),
            ..OperationReport::empty(operation, RunState::DoneWithFailures)
        }
    }

    fn script(operations: Vec<OperationReport>) -> Result<String, String> {
        let report = RunReport::from_operations(operations, BTreeMap::new(), Duration::ZERO);
        retry_script(&report, SettingNames::default()).map_err(|diagnostic| diagnostic.message)
    }

    #[test]
    fn failed_openids_of_a_change_are_a_statement_each() {
        let unfailed = OperationReport { failed: Vec::new(), ..job(TerminalKind::Each, None) };
        let operations = vec![
            job(TerminalKind::Tag, Some(Target::Name("老客户".to_owned()))),
            unfailed,
            job(TerminalKind::Untag, Some(Target::TagId(7))),
            job(TerminalKind::Block, None),
        ];
        let expected = "openids([\"甲\",\"乙\"]).tag(\"老客户\");\n\
                        openids([\"甲\",\"乙\"]).untag(7);\n\
                        openids([\"甲\",\"乙\"]).block();\n";
        assert_eq!(script(operations).as_deref(), Ok(expected));
    }

    #[test]
    fn failed_remark_is_left_to_the_script() {
        let message = "`remark` can't be retried for some openids: what it does is in the script";
        assert_eq!(script(vec![job(TerminalKind::Remark, None)]), Err(message.to_owned()));
    }

    #[test]
    fn openid_without_details_is_left_to_the_script() {
        let mut job = job(TerminalKind::Tag, Some(Target::Name("老客户".to_owned())));
        job.failed[1].is_of_details = true;
        let message = "tag `老客户`: the details of some were refused, so it is unknown whether they match";
        assert_eq!(script(vec![job]), Err(message.to_owned()));
    }
}
