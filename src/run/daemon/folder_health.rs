//! Health of the automation folder: the progress of the first scan, and what is reported of scans that fail or hang.

use super::log::Level;
use std::{io, path::PathBuf, time::Duration};

/// The progress of the first scan of the folder. Until it is done every known automation may look deleted: what is found is served,
/// but nothing is adopted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FirstLook {
    /// The folder is scanned.
    #[default]
    Reading,
    /// The store is asked what was served from it.
    Comparing,
    /// What is missing is looked for, and what is stale is restored.
    Loading,
    Done,
}

/// A file or a folder that does not answer, and for how long.
type Stall = (PathBuf, Duration);

#[derive(Default)]
pub(super) struct FolderHealth {
    pub first_look: FirstLook,
    stalled: Option<Stall>,
    /// Why the last scan has failed, if it did.
    unreadable: Option<String>,
    /// Whether the last scan has found no automation.
    is_empty: bool,
}

impl FolderHealth {
    /// What is to be logged after a scan; `Ok` says whether it found no automation.
    pub(super) fn observe_scan(&mut self, scanned: io::Result<bool>) -> Option<(Level, String)> {
        match scanned {
            Ok(is_empty) => {
                self.unreadable = None;
                if self.first_look == FirstLook::Reading {
                    self.first_look = FirstLook::Comparing;
                }
                let was_empty = std::mem::replace(&mut self.is_empty, is_empty);
                let text = "there is no automation in the folder: a file with `const automation = #{ … };`";
                (is_empty && !was_empty).then(|| (Level::Warn, text.to_owned()))
            }
            Err(error) => {
                let text = format!("the folder can't be scanned: {error}");
                let before = self.unreadable.replace(text.clone());
                (before.as_ref() != Some(&text)).then_some((Level::Error, text))
            }
        }
    }

    /// What is to be logged when the folder stops answering, and when it answers again: each change once.
    pub(super) fn observe_stall(&mut self, stalled: Option<Stall>) -> Option<(Level, String)> {
        let before = std::mem::replace(&mut self.stalled, stalled);
        match (&before, &self.stalled) {
            (None, Some(stall)) => {
                Some((Level::Error, format!("{}: saved files are not noticed till it does", shown(stall))))
            }
            (Some(_), None) => Some((Level::Info, "the folder answers again".to_owned())),
            _ => None,
        }
    }

    /// Why the folder is not served as it is, when this many automations are.
    pub(super) fn error(&self, served: usize) -> Option<String> {
        if let Some(stall) = &self.stalled {
            return Some(shown(stall));
        }
        if self.first_look == FirstLook::Done {
            return None;
        }
        Some(self.unreadable.clone().unwrap_or_else(|| {
            format!("the folder is read for the first time: {served} automations are served so far")
        }))
    }
}

fn shown((path, elapsed): &Stall) -> String {
    let elapsed = humantime::format_duration(Duration::from_secs(elapsed.as_secs()));
    format!("{} has not answered for {elapsed}", path.display())
}
