//! `mpscript failed`: the openids that failed in a run, and retrying them.

use super::{
    check::compile,
    recorded::{Recorded, read_run, target_of},
    run_recorded::{Purpose, RunPlan, run_recorded},
};
use crate::{
    base::{no_formula, plain_line, with_thousands},
    bulk::{Failure as FailedOpenid, RunReport},
    cli::{
        args::{FailedArguments, SETTING_NAMES},
        failure::{Failure, usage_error},
        output::{exit, log},
    },
    host::Host,
    run::record::RunOptions,
    script::{Origin, Source, retry_script},
};
use std::{collections::BTreeMap, sync::Arc};

pub(crate) fn execute(host: &Host, arguments: &FailedArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::from_flag(arguments.flags.verbose));
    let recorded = read_run(host, &arguments.target, &arguments.run)?;
    let id = &recorded.run.id;
    let Some(report) = recorded.report()? else {
        let hint = format!("mpscript resume {id} resumes it");
        return Err(usage_error(format!("run {id} has no report: it was interrupted"), hint));
    };
    if arguments.retry {
        return retry(host, arguments, &recorded, &report);
    }
    if arguments.csv {
        host.out.write(&as_csv(&report)?);
    } else {
        list(host, id, &report);
    }
    Ok(exit::DONE)
}

/// The failed openids, each with the title of the job that it failed in.
fn failures(report: &RunReport) -> impl Iterator<Item = (String, &FailedOpenid)> {
    report.operations.iter().flat_map(|job| job.failed.iter().map(|failed| (job.title(), failed)))
}

fn list(host: &Host, id: &str, report: &RunReport) {
    let mut count = 0;
    for (job, failed) in failures(report) {
        let code = failed.errcode.map(|code| format!("{code} ")).unwrap_or_default();
        let rid = failed.rid.as_ref().map(|rid| format!(" (rid {rid})")).unwrap_or_default();
        host.out.line(&plain_line(&format!("{}  {job}: {code}{}{rid}", failed.openid, failed.errmsg)));
        count += 1;
    }
    if report.totals.missing > 0 {
        let missing = with_thousands(report.totals.missing);
        host.err.line(&format!("{missing} followers that the platform counts were not listed"));
    }
    if count == 0 {
        host.out.line("no openid failed");
        return;
    }
    let next = match retry_script(report, SETTING_NAMES) {
        Ok(_) => format!("; mpscript failed {id} --retry retries them"),
        Err(_) => String::new(),
    };
    host.err.line(&format!("{} failed{next}", with_thousands(count)));
}

fn as_csv(report: &RunReport) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["openid", "operation", "errcode", "errmsg", "rid"])?;
    for (job, failed) in failures(report) {
        let code = failed.errcode.map(|code| code.to_string()).unwrap_or_default();
        let rid = failed.rid.as_deref().unwrap_or_default();
        let cells = [&failed.openid, &job, &code, &failed.errmsg, rid];
        writer.write_record(cells.map(no_formula))?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn retry(
    host: &Host,
    arguments: &FailedArguments,
    recorded: &Recorded,
    report: &RunReport,
) -> anyhow::Result<u8> {
    let run = &recorded.run;
    if let Some(undo) = &recorded.undone_by {
        let again = format!("start its script again, or undo run {0} first: mpscript undo {0}", undo.run);
        let message = format!("run {} {}: its failures can't be retried", run.id, undo.describe());
        return Err(usage_error(message, undo.hint(&again)));
    }
    let options = recorded.lasting_options()?;
    let text = retry_script(report, SETTING_NAMES).map_err(Failure::usage)?;
    if text.is_empty() {
        host.out.line("no openid failed");
        return Ok(exit::DONE);
    }
    let source = Source { name: format!("failed {}", run.id), text, imports: Vec::new() };
    let target = target_of(&arguments.target, &options);
    run_recorded(
        host,
        RunPlan {
            program: Arc::new(compile(&Origin::Recorded(source))?),
            options: RunOptions { params: BTreeMap::default(), call: None, ..options },
            flags: &arguments.flags,
            target: &target,
            is_dry: false,
            purpose: Purpose::Retry { run },
        },
    )
}
