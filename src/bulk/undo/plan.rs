//! The way back: what a run did, and the script that takes it back.

use crate::{
    bulk::model::{change::Change, effect::RecordedEffect},
    store::{Store, StoreError},
};
use serde_json::json;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// Steps that are looked at together.
const TOGETHER: i64 = 1_000;

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
    deeds: Vec<(i64, RecordedEffect)>,
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
            if row.step == outermost[at].step {
                outermost[at].what.clone_from(&row.what);
            }
            if let Ok(deed) = serde_json::from_str::<RecordedEffect>(&row.change) {
                let deeds = &mut outermost[at].deeds;
                // People who were changed are taken back together, whatever is named by its own step by step.
                if matches!(deed, RecordedEffect::Change(_)) {
                    deeds.retain(|(_, known)| *known != deed);
                }
                deeds.push((row.seq, deed));
            }
        }
    }
    // Of a tag that the run has deleted nothing can be taken back; one that it had made itself is no loss. One that
    // nobody had any more when it was deleted comes back by its name.
    let (mut made, mut deleted, mut taken_off) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    let mut named: BTreeMap<i64, String> = BTreeMap::new();
    for of in &outermost {
        for (_, deed) in &of.deeds {
            match deed {
                RecordedEffect::CreateTag { id, .. } => drop(made.insert(*id)),
                RecordedEffect::DeleteTag { id, name } => {
                    let was_empty = of.what.starts_with("delete_tag_if_empty(");
                    // As it was called before the run gave it other names.
                    let name = named.get(id).unwrap_or(name);
                    deleted.insert(*id, was_empty.then(|| name.clone()));
                }
                RecordedEffect::RenameTag { id, from, .. } => {
                    named.entry(*id).or_insert_with(|| from.clone());
                }
                RecordedEffect::Change(Change::Detach(id)) => drop(taken_off.insert(*id)),
                _ => {}
            }
        }
    }
    let comes_back = |id: &i64| deleted.get(id).and_then(Option::as_ref).filter(|_| !made.contains(id));
    let mut way = WayBack::default();
    for Outermost { step, what, mut deeds } in outermost.into_iter().rev() {
        deeds.retain(|(_, deed)| match deed {
            RecordedEffect::Change(Change::Detach(id)) => {
                !deleted.contains_key(id) || comes_back(id).is_some()
            }
            RecordedEffect::Change(Change::Attach(id))
            | RecordedEffect::CreateTag { id, .. }
            | RecordedEffect::RenameTag { id, .. } => !deleted.contains_key(id),
            // Putting it on makes it.
            RecordedEffect::DeleteTag { id, .. } if comes_back(id).is_some() => !taken_off.contains(id),
            RecordedEffect::DeleteTag { id, .. } => !made.contains(id),
            _ => true,
        });
        // A tag comes off its followers before it is deleted.
        deeds.sort_by_key(|(seq, deed)| (matches!(deed, RecordedEffect::CreateTag { .. }), Reverse(*seq)));
        let before = way.script.len();
        for (_, deed) in deeds {
            let back = match &deed {
                RecordedEffect::Change(Change::Detach(id)) | RecordedEffect::DeleteTag { id, .. } => {
                    comes_back(id)
                }
                _ => None,
            };
            way.add(run, &step, &deed, (is_dry, back));
        }
        if way.script.len() > before {
            way.script.insert_str(before, &format!("// step {step}: {}\n", what.replace('\n', " ")));
        }
    }
    Ok(way)
}

impl WayBack {
    /// Adds what takes a deed back; a tag that is gone is made again by the name that is given.
    fn add(&mut self, run: &str, step: &str, deed: &RecordedEffect, (is_dry, back): (bool, Option<&String>)) {
        let people = || format!("changed_by({}, {}, {})", json!(run), json!(step), json!(deed));
        let line = match deed {
            RecordedEffect::DeleteTag { .. } if back.is_some() => format!("tag::create({})", json!(back)),
            RecordedEffect::Change(Change::Attach(id)) => format!("{}.untag({id})", people()),
            RecordedEffect::Change(Change::Detach(id)) => {
                format!("{}.tag({})", people(), back.map_or_else(|| json!(id), |name| json!(name)))
            }
            RecordedEffect::Change(Change::Block) => format!("{}.unblock()", people()),
            RecordedEffect::Change(Change::Unblock) => format!("{}.block()", people()),
            RecordedEffect::Change(Change::Remark) => format!("{}.restore_remark()", people()),
            RecordedEffect::RenameTag { id, from, to } => {
                format!("restore_tag_name({id}, {}, {})", json!(from), json!(to))
            }
            RecordedEffect::CreateTag { name, .. } if is_dry => {
                format!("print({})", json!(format!("the tag `{name}` goes if nobody else has it then")))
            }
            RecordedEffect::CreateTag { id, name } => format!("delete_tag_if_empty({id}, {})", json!(name)),
            RecordedEffect::DeleteTag { id, name } => {
                self.lasting
                    .push(format!("the tag `{name}` ({id}) was deleted, and its id is never used again"));
                return;
            }
            RecordedEffect::Other(call) => {
                self.lasting.push(format!("{call} (step {step})"));
                return;
            }
        };
        // What the platform refuses for good does not stand in the way of the rest.
        self.script
            .push_str(&format!("try {{ {line}; }} catch (e) {{ not_taken_back({}, e); }}\n", json!(step)));
    }
}
