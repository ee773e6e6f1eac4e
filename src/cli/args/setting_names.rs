//! The flags by which settings are called in the messages of lower floors.

use crate::base::{Setting, SettingNames};

/// The names of the settings on the command line.
pub const SETTING_NAMES: SettingNames = SettingNames(flag);

fn flag(setting: Setting) -> &'static str {
    match setting {
        Setting::InFlight => "--in-flight",
        Setting::BaseUrl => "--base-url",
        Setting::MaxChanges => "--max-changes",
        Setting::MaxErrors => "--max-errors",
        Setting::ReportFile => "--report",
        Setting::AllowPause => "--allow-pause",
        Setting::DryRun => "--dry-run",
        Setting::Sandbox => "--sandbox",
        Setting::Resolution => "--resolve",
        Setting::Answer => "--answer",
        Setting::AllowedHost => "--allow-host",
        Setting::MaxParallel => "--max-parallel",
        Setting::RunMemory => "--run-memory",
        Setting::Store => "--store",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::{Command, CommandFactory};

    fn has_flag(command: &Command, flag: &str) -> bool {
        command.get_arguments().any(|argument| argument.get_long() == Some(flag))
            || command.get_subcommands().any(|command| has_flag(command, flag))
    }

    #[test]
    fn every_setting_is_called_by_a_flag_that_exists() {
        let command = Arguments::command();
        let unknown: Vec<&str> = Setting::ALL
            .iter()
            .map(|setting| flag(*setting))
            .filter(|flag| !flag.strip_prefix("--").is_some_and(|name| has_flag(&command, name)))
            .collect();
        assert_eq!(unknown, [""; 0]);
    }
}
