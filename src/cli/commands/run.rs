//! `mpscript run`.

use super::{
    automation_folder::file_of,
    check::{compile, origin},
    run_recorded::{Purpose, RunPlan, run_recorded},
    served_account::choose_account,
};
use crate::{
    base::closest_match,
    cli::{
        args::{RunArguments, TargetArgs},
        failure::{Failure, usage_error},
        output::log,
    },
    host::Host,
    run::record::RunOptions,
    script::{Automation, CallTrigger, EXPRESSION, HANDLER, HandlerCall, Origin, Parameter, Program, check},
};
use chrono::Local;
use std::{
    collections::BTreeMap,
    fs,
    path::{MAIN_SEPARATOR, Path, PathBuf},
    sync::Arc,
};

pub(crate) fn execute(host: &Host, arguments: &RunArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::from_flag(arguments.flags.verbose));
    let origin = script_of(host, arguments)?;
    let program = compile(&origin)?;
    let automation = program.automation().map_err(|trouble| Failure::from_script_failure(&trouble))?;
    let (params, call) = match &automation {
        Some(automation) => {
            let call = manual_call(host, &program, automation, &arguments.params)?;
            (BTreeMap::new(), Some(call))
        }
        None => (script_params(&program, &arguments.params)?, None),
    };
    if let Some(problem) = check::problems(&program, &params).into_iter().next() {
        return Err(Failure::from_script_failure(&problem).into());
    }
    let target = match (&automation, &call) {
        (Some(automation), Some(call)) => account_of(host, arguments, &origin, automation, call)?,
        _ => arguments.target.clone(),
    };
    let own = automation.map(|automation| automation.limits).unwrap_or_default();
    let options = RunOptions {
        account: target.account.clone(),
        base_urls: target.base_url.clone(),
        sandbox: arguments.target.sandbox,
        params,
        in_flight: arguments.in_flight,
        // The command line takes precedence over the automation's own limits.
        max_changes: arguments.limits.max_changes.or(own.changes),
        max_errors: arguments.limits.max_errors.or(own.errors),
        allow_pause: arguments.flags.allow_pause,
        folder: host.folder.clone(),
        roots: roots(host, &origin, &arguments.params),
        prints_value: arguments.expression.is_some(),
        held_a_secret: false,
        call,
    };
    run_recorded(
        host,
        RunPlan {
            program: Arc::new(program),
            options,
            flags: &arguments.flags,
            target: &target,
            is_dry: arguments.dry_run,
            purpose: Purpose::New,
        },
    )
}

/// What the script of a run by hand may read and write files under: its own folder, the working folder, and each file or
/// folder that a parameter names.
fn roots(host: &Host, origin: &Origin, params: &[(String, String)]) -> Vec<PathBuf> {
    let named = params.iter().filter_map(|(_, value)| named_path(host, value));
    origin.folder().into_iter().chain([host.folder.clone()]).chain(named).collect()
}

/// Folders of the system: neither they nor what is in them is opened by a parameter. Removable media are.
const SYSTEM: [&str; 10] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/usr"];
const MEDIA: &str = "/run/media";

/// Folders that hold those of all people or programs: none is opened whole.
const SHARED: [&str; 5] = ["/", "/home", "/opt", "/root", "/var"];

/// The file or folder that a parameter's value names, if it is one that a person gives to a script: a file that is there, a
/// new one in a folder that is there, or a folder of tables. A value may have a slash and name nothing, or everything.
fn named_path(host: &Host, value: &str) -> Option<PathBuf> {
    if !value.contains(MAIN_SEPARATOR) {
        return None;
    }
    let path = host.folder.join(value);
    let is_named = match fs::canonicalize(&path) {
        Ok(real) if real.is_dir() => is_folder_of_tables(host, &real),
        Ok(real) => real.is_file(),
        Err(_) => path.file_name().is_some() && path.parent().is_some_and(Path::is_dir),
    };
    is_named.then_some(path)
}

/// Whether a folder is one that a person gives to a script whole. `folder` is without links.
fn is_folder_of_tables(host: &Host, folder: &Path) -> bool {
    let is_shared = SHARED.iter().any(|shared| folder == Path::new(shared));
    let home = host.variable("HOME").and_then(|home| fs::canonicalize(home).ok());
    let holds_a_home = home.is_some_and(|home| home.starts_with(folder));
    let is_a_home = folder.parent() == Some(Path::new("/home"));
    let is_of_system = SYSTEM.iter().any(|system| folder.starts_with(system)) && !folder.starts_with(MEDIA);
    !is_shared && !holds_a_home && !is_a_home && !is_of_system
}

/// The account that the run of an automation works on; says which, unless the command line does.
fn account_of(
    host: &Host,
    arguments: &RunArguments,
    origin: &Origin,
    automation: &Automation,
    call: &HandlerCall,
) -> anyhow::Result<TargetArgs> {
    // Normalized as the daemon does it.
    let folder: PathBuf = origin.folder().as_ref().unwrap_or(&host.folder).components().collect();
    let chosen = choose_account(host, &arguments.target, automation, &folder, &call.automation)?;
    if let Some(note) = chosen.note.filter(|_| !arguments.flags.quiet) {
        host.err.line(&note);
    }
    Ok(chosen.target)
}

/// Where the script comes from: the command line itself, a file, an automation, or standard input.
fn script_of(host: &Host, arguments: &RunArguments) -> anyhow::Result<Origin> {
    if let Some(text) = &arguments.expression {
        return Ok(Origin::Text {
            name: EXPRESSION.to_owned(),
            text: text.clone(),
            folder: host.folder.clone(),
        });
    }
    let named = arguments.file.as_deref().unwrap_or(Path::new("-"));
    let automation = file_of(host, named, arguments.dir.as_deref(), &arguments.target)?;
    origin(host, automation.as_deref().unwrap_or(named))
}

/// The call of an automation's handler for a run that is started by hand now.
fn manual_call(
    host: &Host,
    program: &Program,
    automation: &Automation,
    given: &[(String, String)],
) -> anyhow::Result<HandlerCall> {
    let values = Parameter::values(&automation.params, &by_name(given)?).map_err(Failure::usage)?;
    let name = Path::new(program.name()).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let (name, now) = (name.unwrap_or_default(), host.clock.now());
    let scheduled = now.to_utc().with_timezone(&Local).to_rfc3339();
    let call = HandlerCall::new(&name, HANDLER, CallTrigger::ByHand, now, scheduled);
    Ok(HandlerCall { params: values, ..call })
}

/// The script's parameters by name; one that the script does not have is an error.
fn script_params(program: &Program, given: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let known = check::params(program);
    for (name, _) in given {
        if !known.contains(name) {
            let message = format!("{} has no parameter `{name}`", program.name());
            let hint = match closest_match(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => {
                    "it has none: param(\"NAME\", DEFAULT) in the script makes one".to_owned()
                }
                None => format!("it has {}", known.join(", ")),
            };
            return Err(usage_error(message, hint));
        }
    }
    by_name(given)
}

fn by_name(given: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut params = BTreeMap::new();
    for (name, value) in given {
        if params.insert(name.clone(), value.clone()).is_some() {
            anyhow::bail!("parameter `{name}` is given twice");
        }
    }
    Ok(params)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn parameter_names_a_file_a_new_file_or_a_folder_of_tables() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["家", "家/店", "导出"] {
            fs::create_dir(path(name)).expect("a folder can be made");
        }
        fs::write(path("导出/名单.csv"), "openid").expect("a file can be written");
        std::os::unix::fs::symlink("/", path("导出/根")).expect("a link can be made");
        let mut host = Host::real();
        host.folder = path("家/店");
        host.environment.insert("HOME".to_owned(), path("家").display().to_string());
        for named in
            ["../../导出/名单.csv", "../../导出/新.csv", "../../导出", "../../导出/", "./新.csv", "./"]
        {
            assert_eq!(named_path(&host, named), Some(host.folder.join(named)), "{named}");
        }
        let other = [
            "/",
            "//",
            "/.",
            "/etc",
            "/usr/lib",
            "/usr/../etc/",
            "/home",
            "/var",
            "../",
            "../..",
            "../../../",
            "..",
        ];
        for named in other.into_iter().chain([
            "../../导出/根",
            "无/新.csv",
            "https://example.com/a",
            "名单.csv",
            "2026/11",
        ]) {
            assert_eq!(named_path(&host, named), None, "{named}");
        }
    }
}
