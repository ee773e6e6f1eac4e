//! The way back: what a run did, and the script that takes it back.

use super::writer::Change;
use crate::store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// Steps that are looked at together.
const TOGETHER: i64 = 1_000;

/// What a step did to the account, as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Deed {
    /// Followers were changed; who they are is in the step's batches.
    Change(Change),
    /// A tag was made.
    CreateTag {
        /// The platform's number.
        #[serde(rename = "created")]
        id: i64,
        /// What it was called.
        name: String,
    },
    /// A tag was renamed.
    RenameTag {
        /// The platform's number.
        #[serde(rename = "renamed")]
        id: i64,
        /// The name before.
        from: String,
        /// The name since.
        to: String,
    },
    /// A tag was deleted.
    DeleteTag {
        /// The platform's number, which nothing has again.
        #[serde(rename = "deleted")]
        id: i64,
        /// What it was called.
        name: String,
    },
    /// A call that nobody can take back.
    Other(String),
}

/// How a run is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayBack {
    /// The script that does it; empty when there is nothing to do.
    pub script: String,
    /// What can't be taken back, for a person.
    pub lasting: Vec<String>,
}

/// The way back from what a run did: its steps in reverse.
///
/// Within one step of the script, which may be a loop of many calls, each kind of change is a job of its own: they
/// touch different things, so their order does not matter. One for a dry run says of tags what only the real one sees.
///
/// # Errors
/// When the journal can't be read.
pub async fn way_back(store: &Store, run: &str, is_dry: bool) -> Result<WayBack, StoreError> {
    let mut outermost: Vec<(String, String)> = Vec::new();
    let mut after = 0;
    loop {
        let steps = store.steps(run, after, TOGETHER).await?;
        let Some(last) = steps.last() else { break };
        after = last.seq;
        for step in steps {
            let first = step.step.split('/').next().unwrap_or_default();
            if outermost.last().is_none_or(|(known, _)| known != first) {
                outermost.push((first.to_owned(), step.what.clone()));
            }
        }
    }
    let mut way = WayBack::default();
    // Of a tag that the run has deleted nothing can be taken back; one that it had made itself is no loss.
    let (mut made, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    let mut of_steps = Vec::new();
    for (step, what) in outermost.iter().rev() {
        let changes = store.changes_within(run, step).await?;
        let deeds: Vec<(String, Deed)> = changes
            .into_iter()
            .filter_map(|change| serde_json::from_str(&change).ok().map(|deed| (change, deed)))
            .collect();
        for (_, deed) in &deeds {
            match deed {
                Deed::CreateTag { id, .. } => made.insert(*id),
                Deed::DeleteTag { id, .. } => deleted.insert(*id),
                _ => false,
            };
        }
        of_steps.push((step, what, deeds));
    }
    for (step, what, mut deeds) in of_steps {
        deeds.retain(|(_, deed)| match deed {
            Deed::Change(Change::Attach(id) | Change::Detach(id))
            | Deed::CreateTag { id, .. }
            | Deed::RenameTag { id, .. } => !deleted.contains(id),
            Deed::DeleteTag { id, .. } => !made.contains(id),
            _ => true,
        });
        // A tag comes off its followers before it is deleted, and has its name back before it is looked for.
        deeds.sort_by_key(|(_, deed)| matches!(deed, Deed::CreateTag { .. }));
        let before = way.script.len();
        for (_, deed) in deeds {
            way.add(run, step, &deed, is_dry);
        }
        if way.script.len() > before {
            way.script.insert_str(before, &format!("// step {step}: {}\n", what.replace('\n', " ")));
        }
    }
    Ok(way)
}

impl WayBack {
    fn add(&mut self, run: &str, step: &str, deed: &Deed, is_dry: bool) {
        let people = || format!("changed_by({}, {}, {})", json!(run), json!(step), json!(deed));
        let line = match deed {
            Deed::Change(Change::Attach(id)) => format!("{}.untag({id});\n", people()),
            Deed::Change(Change::Detach(id)) => format!("{}.tag({id});\n", people()),
            Deed::Change(Change::Block) => format!("{}.unblock();\n", people()),
            Deed::Change(Change::Unblock) => format!("{}.block();\n", people()),
            Deed::Change(Change::Remark) => format!("{}.restore_remark();\n", people()),
            Deed::RenameTag { id, from, to } => format!(
                "if tag::list().some(|t| t.id == {id} && t.name == {}) {{ tag::update({id}, {}); }}\n",
                json!(to),
                json!(from)
            ),
            Deed::CreateTag { name, .. } if is_dry => {
                format!("print({});\n", json!(format!("the tag `{name}` goes if nobody else has it then")))
            }
            Deed::CreateTag { id, name } => format!(
                "if tag::list().some(|t| t.id == {id}) {{\n    \
                     if members({id}).take(1).count() == 0 {{ tag::delete({id}); }}\n    \
                     else {{ print({}); }}\n}}\n",
                json!(format!("the tag `{name}` stays: there are followers who have it"))
            ),
            Deed::DeleteTag { id, name } => {
                self.lasting
                    .push(format!("the tag `{name}` ({id}) was deleted, and its id is never used again"));
                return;
            }
            Deed::Other(call) => {
                self.lasting.push(format!("{call} (step {step})"));
                return;
            }
        };
        self.script.push_str(&line);
    }
}
