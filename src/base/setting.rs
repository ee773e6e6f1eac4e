//! What a person can set when the program is started, and by what name: messages refer to the setting, and the floor that
//! reads the command line names it.

use std::{borrow::Cow, fmt};

/// Something that a person can set when the program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// How many calls are made at once.
    InFlight,
    /// The platform's addresses.
    BaseUrl,
    /// How many changes a run may make.
    MaxChanges,
    /// What share of openids may fail.
    MaxErrors,
    /// The file that the whole report is written to.
    ReportFile,
    /// A run may wait for the next day's quota.
    AllowPause,
    /// Nothing is changed.
    DryRun,
    /// A sandbox takes the platform's place.
    Sandbox,
    /// What becomes of a call in doubt.
    Resolution,
    /// The platform's answer to a call in doubt.
    Answer,
    /// A name by which a server may be addressed.
    AllowedHost,
    /// How many runs a daemon has at once.
    MaxParallel,
    /// The memory that a run may take.
    RunMemory,
    /// Where state is kept.
    Store,
}

impl Setting {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::InFlight,
        Self::BaseUrl,
        Self::MaxChanges,
        Self::MaxErrors,
        Self::ReportFile,
        Self::AllowPause,
        Self::DryRun,
        Self::Sandbox,
        Self::Resolution,
        Self::Answer,
        Self::AllowedHost,
        Self::MaxParallel,
        Self::RunMemory,
        Self::Store,
    ];

    /// What is set, for where settings have no names.
    const fn words(self) -> &'static str {
        match self {
            Self::InFlight => "the number of calls at once",
            Self::BaseUrl => "the platform's address",
            Self::MaxChanges => "the limit of changes",
            Self::MaxErrors => "the limit of errors",
            Self::ReportFile => "the report's file",
            Self::AllowPause => "the permission to pause",
            Self::DryRun => "the dry run",
            Self::Sandbox => "the sandbox",
            Self::Resolution => "the resolution",
            Self::Answer => "the answer",
            Self::AllowedHost => "the setting of allowed hosts",
            Self::MaxParallel => "the limit of parallel runs",
            Self::RunMemory => "the limit of memory",
            Self::Store => "the store",
        }
    }
}

/// The names of the settings.
#[derive(Clone, Copy)]
pub struct SettingNames(pub fn(Setting) -> &'static str);

impl SettingNames {
    /// The name of a setting.
    #[must_use]
    pub fn of(self, setting: Setting) -> &'static str {
        (self.0)(setting)
    }
}

/// Says what is set: nothing has given the settings names.
impl Default for SettingNames {
    fn default() -> Self {
        Self(Setting::words)
    }
}

impl fmt::Debug for SettingNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettingNames")
    }
}

/// What a person can do about an error; it may refer to a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    text: &'static str,
    setting: Option<Setting>,
}

/// What stands in a text for the setting's name.
const NAME: &str = "{}";

impl Advice {
    /// A text without a setting.
    #[must_use]
    pub const fn plain(text: &'static str) -> Self {
        Self { text, setting: None }
    }

    /// A text that has `{}` where the setting's name belongs.
    #[must_use]
    pub const fn naming(setting: Setting, text: &'static str) -> Self {
        Self { text, setting: Some(setting) }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.text.is_empty()
    }

    /// The text, with the setting's name.
    #[must_use]
    pub fn text(self, names: SettingNames) -> Cow<'static, str> {
        match self.setting {
            Some(setting) => self.text.replace(NAME, names.of(setting)).into(),
            None => self.text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_has_the_name_of_its_setting() {
        let advice = Advice::naming(Setting::InFlight, "make fewer calls at once ({})");
        assert_eq!(advice.text(SettingNames(|_| "并发")), "make fewer calls at once (并发)");
    }

    #[test]
    fn plain_advice_is_its_text() {
        assert_eq!(Advice::plain("fn f() {}").text(SettingNames::default()), "fn f() {}");
    }
}
