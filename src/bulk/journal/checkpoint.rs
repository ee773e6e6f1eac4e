//! How far a job is, as the journal records it.

use crate::{
    bulk::model::{
        batch::{ChangeItem, ItemKind, item_list},
        counts::CountsSnapshot,
        cursor::{PageCursor, Paging},
        failure::Failure,
    },
    store::{JsonColumn, StepRow, StoreError},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// How far a job is: every follower up to here is decided.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whether a loop's closure had made calls that change the account.
    pub has_written: bool,
    /// Where the listing resumes.
    pub cursor: PageCursor,
    /// The counters so far, without those of batches.
    pub counts: CountsSnapshot,
    /// The openids whose details were refused.
    pub failed: Vec<Failure>,
    /// How many more followers each stage lets pass.
    pub take_remaining: Vec<usize>,
    /// The items that wait for their batch to be full.
    #[serde(with = "item_list")]
    pub waiting: Vec<ChangeItem>,
    /// The number of the next batch.
    pub next_batch: i64,
    /// The openids that an earlier attempt has put into a batch and that have not been listed again.
    pub already_batched: Vec<String>,
    /// What a sample has drawn: from then on it is the listing.
    pub sampled: Option<DrawnSample>,
    /// What the terminal operation has added up.
    pub accumulator: Value,
}

/// The job that a checkpoint is of, as the script has it.
#[derive(Clone, Debug)]
pub struct CheckpointedJob {
    /// What follows from page to page of its source.
    pub paging: Paging,
    /// For each stage that lets a number of followers pass: that number.
    pub takes: Vec<usize>,
    /// For each stage that draws a sample: the index of the stage after it.
    pub after_samples: Vec<usize>,
}

/// The followers that a sample has drawn. It is stored as an array: the stage, and the openids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnSample {
    /// The index of the first stage after the sample.
    pub next_stage: usize,
    /// Their openids, in the order of the listing.
    pub openids: Vec<String>,
}

impl Serialize for DrawnSample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.next_stage, &self.openids).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DrawnSample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (next_stage, openids) = Deserialize::deserialize(deserializer)?;
        Ok(Self { next_stage, openids })
    }
}

impl Checkpoint {
    /// The checkpoint of a step, as far as it is one of this job; `None` before its first one.
    pub fn read(run: &str, row: &StepRow, job: &CheckpointedJob) -> Result<Option<Self>, StoreError> {
        if row.checkpoint.is_empty() {
            return Ok(None);
        }
        let key = format!("{run}/{}", row.step);
        let column = JsonColumn::for_step(&key, "checkpoint", "a checkpoint, as JSON");
        let checkpoint: Self = column.decode(&row.checkpoint)?;
        let mismatch = |expected: String, found: String| StoreError::Decode {
            table: column.table,
            row: key.clone(),
            column: "checkpoint",
            expected,
            found,
        };
        if let Some(cursor) = &checkpoint.cursor.cursor
            && !cursor.is_of(job.paging)
        {
            return Err(mismatch(job.paging.to_string(), cursor.to_string()));
        }
        let remaining = &checkpoint.take_remaining;
        if remaining.len() != job.takes.len() || remaining.iter().zip(&job.takes).any(|(left, of)| left > of)
        {
            let expected = format!("in `take_remaining` counts of at most {:?}", job.takes);
            return Err(mismatch(expected, format!("{remaining:?}")));
        }
        if let Some(drawn) = &checkpoint.sampled
            && !job.after_samples.contains(&drawn.next_stage)
        {
            let expected = format!("in `sampled` the index after a sample, one of {:?}", job.after_samples);
            return Err(mismatch(expected, drawn.next_stage.to_string()));
        }
        let kind = ItemKind::of_step(row.kind);
        if let Some(found) = kind.mismatch(&checkpoint.waiting) {
            return Err(mismatch(format!("in `waiting` {kind}"), found.to_string()));
        }
        Ok(Some(checkpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bulk::model::cursor::Cursor,
        store::{StepKind, StepState, TerminalKind},
    };

    /// The JSON of a checkpoint.
    fn checkpoint(cursor: &str, take_remaining: &str, sampled: &str) -> String {
        format!(
            r#"{{"has_written":true,"cursor":{{"page":2,"listed":300,"cursor":{cursor},"fallback":"oA","is_last":false,
            "total":900}},"counts":{{"fetched":300,"matched":5,"unmatched":290,"gone":5,"already":0}},"failed":[],
            "take_remaining":{take_remaining},"waiting":{{"type":"openids","items":[]}},"next_batch":3,
            "already_batched":[],"sampled":{sampled},"accumulator":null}}"#
        )
    }

    fn row(checkpoint: String) -> StepRow {
        StepRow {
            step: "3".to_owned(),
            position: 3,
            seq: 3,
            kind: StepKind::Terminal(TerminalKind::Tag),
            fingerprint: String::new(),
            label: String::new(),
            target: String::new(),
            target_id: 0,
            state: StepState::Begun,
            effect_kind: None,
            effect_tag: 0,
            effect: String::new(),
            checkpoint,
            answer: String::new(),
            has_batches: false,
        }
    }

    fn read(cursor: &str, paging: Paging) -> Result<Option<Cursor>, String> {
        let job = CheckpointedJob { paging, takes: Vec::new(), after_samples: Vec::new() };
        let read = Checkpoint::read("R", &row(checkpoint(cursor, "[]", "null")), &job);
        let checkpoint = read.map_err(|error| error.to_string())?.expect("one is recorded");
        let written = serde_json::to_string(&checkpoint.cursor).map_err(|error| error.to_string())?;
        assert_eq!(serde_json::from_str(&written).ok(), Some(checkpoint.cursor.clone()), "{written}");
        Ok(checkpoint.cursor.cursor)
    }

    #[test]
    fn checkpoint_of_other_stages_names_its_row() {
        // A filter, two stages that let five and three pass, and a sample between them.
        let job = CheckpointedJob { paging: Paging::ByOpenid, takes: vec![5, 3], after_samples: vec![3] };
        let read = |take_remaining: &str, sampled: &str| -> Result<_, String> {
            let row = row(checkpoint("null", take_remaining, sampled));
            let read = Checkpoint::read("R", &row, &job).map_err(|error| error.to_string())?;
            Ok(read.map(|checkpoint| (checkpoint.take_remaining, checkpoint.sampled)))
        };
        let drawn = DrawnSample { next_stage: 3, openids: vec!["oA".to_owned()] };
        assert_eq!(read("[0,3]", "null"), Ok(Some((vec![0, 3], None))));
        assert_eq!(read("[5,0]", r#"[3,["oA"]]"#), Ok(Some((vec![5, 0], Some(drawn)))));
        for (take_remaining, sampled, expected) in [
            ("[]", "null", "in `take_remaining` counts of at most [5, 3], found []"),
            ("[4]", "null", "in `take_remaining` counts of at most [5, 3], found [4]"),
            ("[4,3,1]", "null", "in `take_remaining` counts of at most [5, 3], found [4, 3, 1]"),
            ("[4,4]", "null", "in `take_remaining` counts of at most [5, 3], found [4, 4]"),
            ("[4,3]", r#"[2,["oA"]]"#, "in `sampled` the index after a sample, one of [3], found 2"),
        ] {
            let expected =
                format!("`checkpoint` in row `R/3` of mpscript_step can't be read: expected {expected}");
            assert_eq!(read(take_remaining, sampled), Err(expected));
        }
    }

    #[test]
    fn field_of_an_unknown_name_is_refused() {
        let known = checkpoint("null", "[]", "null");
        assert!(serde_json::from_str::<Checkpoint>(&known).is_ok());
        for name in ["sampled", "fallback", "already"] {
            let json = known.replacen(&format!("\"{name}\":"), &format!("\"x\":1,\"{name}\":"), 1);
            let error = serde_json::from_str::<Checkpoint>(&json).map(drop).unwrap_err().to_string();
            assert!(error.starts_with("unknown field `x`"), "{name}: {error}");
        }
    }

    #[test]
    fn drawn_sample_is_stored_as_an_array() {
        let drawn = DrawnSample { next_stage: 2, openids: vec!["oA".to_owned(), "oB".to_owned()] };
        let json = r#"[2,["oA","oB"]]"#;
        assert_eq!(serde_json::to_string(&drawn).ok().as_deref(), Some(json));
        assert_eq!(serde_json::from_str(json).ok(), Some(drawn));
    }

    #[test]
    fn cursor_of_its_source_is_read() {
        let openid = Cursor::Openid { openid: "oSru7SHU".to_owned() };
        assert_eq!(read(r#"{"type":"openid","openid":"oSru7SHU"}"#, Paging::ByOpenid), Ok(Some(openid)));
        let batch = Cursor::Batch { seq: 4, number: 199 };
        assert_eq!(read(r#"{"type":"batch","seq":4,"number":199}"#, Paging::ByBatch), Ok(Some(batch)));
        assert_eq!(read("null", Paging::ByCount), Ok(None));
    }

    #[test]
    fn cursor_of_another_source_names_its_row() {
        let expected = "`checkpoint` in row `R/3` of mpscript_step can't be read: expected the cursor of a run's \
                        journal, a batch, found the openid `17`";
        assert_eq!(read(r#"{"type":"openid","openid":"17"}"#, Paging::ByBatch), Err(expected.to_owned()));
        let error = read(r#"{"type":"batch","seq":4,"number":199}"#, Paging::ByCount).unwrap_err();
        assert!(error.ends_with("expected no cursor, found the batch `4/199`"), "{error}");
    }

    #[test]
    fn cursor_that_cannot_be_decoded_names_its_row() {
        let error = read(r#""oSru7SHU""#, Paging::ByOpenid).unwrap_err();
        assert!(error.contains("`R/3`"), "{error}");
        let reason = "(invalid type: string \"oSru7SHU\", expected internally tagged enum Cursor at line";
        assert!(error.contains(reason), "{error}");
    }
}
