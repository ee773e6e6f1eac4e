//! The way back: what a run did, and the script that takes it back.

use super::writer::Change;
use crate::store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

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
        /// The platform's number; 0 as long as it is not known.
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

/// One step of the script, which may be a loop of many calls, with the different things that were done in it: each
/// with the number of the last step that did it.
struct Outermost {
    step: String,
    what: String,
    deeds: Vec<(i64, Deed)>,
}

/// The way back from what a run did: its steps in reverse, and within one what was done last first. One for a dry run
/// says of tags what only the real one sees.
///
/// # Errors
/// When the journal can't be read.
pub async fn way_back(store: &Store, run: &str, is_dry: bool) -> Result<WayBack, StoreError> {
    let mut outermost: Vec<Outermost> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut after = 0;
    loop {
        let rows = store.steps(run, after, TOGETHER).await?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in rows {
            let step = row.step.split('/').next().unwrap_or_default().to_owned();
            let at = *at.entry(step.clone()).or_insert_with(|| {
                outermost.push(Outermost { step, what: row.what.clone(), deeds: Vec::new() });
                outermost.len() - 1
            });
            if let Ok(deed) = serde_json::from_str::<Deed>(&row.change) {
                let deeds = &mut outermost[at].deeds;
                // People who were changed are taken back together, whatever is named by its own step by step.
                if matches!(deed, Deed::Change(_)) {
                    deeds.retain(|(_, known)| *known != deed);
                }
                deeds.push((row.seq, deed));
            }
        }
    }
    // Of a tag that the run has deleted nothing can be taken back; one that it had made itself is no loss.
    let (mut made, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for (_, deed) in outermost.iter().flat_map(|of| &of.deeds) {
        match deed {
            Deed::CreateTag { id, .. } => made.insert(*id),
            Deed::DeleteTag { id, .. } => deleted.insert(*id),
            _ => false,
        };
    }
    let mut way = WayBack::default();
    for Outermost { step, what, mut deeds } in outermost.into_iter().rev() {
        deeds.retain(|(_, deed)| match deed {
            Deed::Change(Change::Attach(id) | Change::Detach(id))
            | Deed::CreateTag { id, .. }
            | Deed::RenameTag { id, .. } => !deleted.contains(id),
            Deed::DeleteTag { id, .. } => !made.contains(id),
            _ => true,
        });
        // A tag comes off its followers before it is deleted.
        deeds.sort_by_key(|(seq, deed)| (matches!(deed, Deed::CreateTag { .. }), Reverse(*seq)));
        let before = way.script.len();
        for (_, deed) in deeds {
            way.add(run, &step, &deed, is_dry);
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
            // Whether it was made nobody knows, nor by which number.
            Deed::CreateTag { id: 0, name } => format!(
                "for t in tag::list() {{\n    \
                     if t.name == {} && members(t).take(1).count() == 0 {{ tag::delete(t); }}\n}}\n",
                json!(name)
            ),
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
