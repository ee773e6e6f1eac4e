//! The script that undoes a run, made of its undo plan. It is shown to the person before it runs, and recorded like any
//! other script.

use super::compensations::{DELETE_TAG_IF_EMPTY, RESTORE_TAG_NAME};
use crate::{
    api::{Endpoint, tag},
    bulk::{Change, UndoAction, UndoPlan},
};
use serde_json::{Value, json};

/// The script of a plan; empty when there is nothing to undo. A dry run of the undo runs the same one.
#[must_use]
pub fn undo_script(plan: &UndoPlan) -> String {
    let mut script = String::new();
    for step in &plan.steps {
        script.push_str(&format!("// step {}: {}\n", step.step, step.label.replace('\n', " ")));
        for action in &step.actions {
            let line = statement(&plan.run, &step.step, action);
            // A permanent refusal of one statement must not stop the others.
            script.push_str(&format!(
                "try {{ {line}; }} catch (e) {{ skip_undo_step({}, e); }}\n",
                json!(step.step)
            ));
        }
    }
    script
}

fn statement(run: &str, step: &str, action: &UndoAction) -> String {
    match action {
        UndoAction::ChangeBack { change, back, recreate } => {
            let changed =
                format!("changed_by({}, {}, {})", json!(run), json!(step), json!(change.script_text()));
            let back = match back {
                Change::Attach(id) => {
                    let tag: Value = recreate.as_ref().map_or_else(|| json!(id), |name| json!(name));
                    format!("tag({tag})")
                }
                Change::Detach(id) => format!("untag({id})"),
                Change::Block => "block()".to_owned(),
                Change::Unblock => "unblock()".to_owned(),
                Change::Remark => "restore_remark()".to_owned(),
            };
            format!("{changed}.{back}")
        }
        UndoAction::RecreateTag { name } => format!("{}({})", tag::Create::SPEC.name, json!(name)),
        UndoAction::RestoreTagName { id, from, to } => {
            format!("{RESTORE_TAG_NAME}({id}, {}, {})", json!(from), json!(to))
        }
        UndoAction::DeleteTagIfEmpty { id: Some(id), name } => {
            format!("{DELETE_TAG_IF_EMPTY}({id}, {})", json!(name))
        }
        UndoAction::DeleteTagIfEmpty { id: None, name } => format!("{DELETE_TAG_IF_EMPTY}({})", json!(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::UndoStep;

    #[test]
    fn plan_with_every_action_is_a_script_with_a_line_each() {
        let name = || "甲".to_owned();
        let back = |change, back, recreate| UndoAction::ChangeBack { change, back, recreate };
        let actions = vec![
            back(Change::Attach(7), Change::Detach(7), None),
            back(Change::Detach(7), Change::Attach(7), None),
            back(Change::Detach(8), Change::Attach(8), Some(name())),
            back(Change::Block, Change::Unblock, None),
            back(Change::Unblock, Change::Block, None),
            back(Change::Remark, Change::Remark, None),
            UndoAction::RestoreTagName { id: 7, from: name(), to: "乙".to_owned() },
            UndoAction::DeleteTagIfEmpty { id: Some(9), name: name() },
            UndoAction::DeleteTagIfEmpty { id: None, name: name() },
        ];
        let step = UndoStep { step: "3".to_owned(), label: "a\nb".to_owned(), actions };
        let plan = UndoPlan { run: "R".to_owned(), steps: vec![step], irreversible: Vec::new() };
        let lines = [
            "changed_by(\"R\", \"3\", \"attach 7\").untag(7)",
            "changed_by(\"R\", \"3\", \"detach 7\").tag(7)",
            "changed_by(\"R\", \"3\", \"detach 8\").tag(\"甲\")",
            "changed_by(\"R\", \"3\", \"block\").unblock()",
            "changed_by(\"R\", \"3\", \"unblock\").block()",
            "changed_by(\"R\", \"3\", \"remark\").restore_remark()",
            "restore_tag_name(7, \"甲\", \"乙\")",
            "delete_tag_if_empty(9, \"甲\")",
            "delete_tag_if_empty(\"甲\")",
        ];
        let expected: String = std::iter::once("// step 3: a b\n".to_owned())
            .chain(
                lines
                    .iter()
                    .map(|line| format!("try {{ {line}; }} catch (e) {{ skip_undo_step(\"3\", e); }}\n")),
            )
            .collect();
        assert_eq!(undo_script(&plan), expected);
    }
}
