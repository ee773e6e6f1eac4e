//! What follows from the failure of a batch's call. Pure: must never send or count.

use crate::{
    api::errcode::{Class, INVALID_TAG_ID, ONE_OPENID, OPENID_BUSY, SOME_OPENIDS_FAILED},
    bulk::model::{batch::ChangeItem, change::Change},
    client::{CallError, Refusal},
};
use std::collections::HashSet;

/// What is done with the followers of a call that failed.
#[derive(Debug)]
pub(super) enum AfterFailure<'a> {
    /// All but these were changed; these are sent again by themselves.
    ChangedExcept(&'a [String]),
    /// One of them may be the reason: they are sent again in two halves, and a single one has failed.
    Bisect(&'a Refusal),
    /// They are sent again after a pause: the tag was created a moment ago and is not known everywhere yet.
    SendLater,
    /// None was changed and none is the reason: the job ends, and they count as skipped.
    NotSent,
    /// The job ends, and whether they were changed is not known.
    InDoubt,
}

/// How old the tag of a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagAge {
    /// It was created so recently that some servers may not know it.
    New,
    /// It is known everywhere, or the change has no tag.
    Settled,
}

/// Decides what follows from the error of a call that sent these items.
pub(super) fn after_failure<'a>(
    change: Change,
    sent: &[ChangeItem],
    error: &'a CallError,
    age: TagAge,
) -> AfterFailure<'a> {
    if let CallError::Refused(refusal) = error {
        if refusal.errcode == SOME_OPENIDS_FAILED && is_part_of(&refusal.failed, sent) {
            return AfterFailure::ChangedExcept(&refusal.failed);
        }
        if refusal.errcode == INVALID_TAG_ID && age == TagAge::New {
            return AfterFailure::SendLater;
        }
        if may_be_one_openid(change, refusal) {
            return AfterFailure::Bisect(refusal);
        }
    }
    match error {
        CallError::Refused(_)
        | CallError::Throttled { .. }
        | CallError::Cancelled { .. }
        | CallError::NoToken { .. }
            if !error.is_in_doubt() =>
        {
            AfterFailure::NotSent
        }
        CallError::Refused(_)
        | CallError::Throttled { .. }
        | CallError::Cancelled { .. }
        | CallError::NoToken { .. }
        | CallError::NoAnswer { .. }
        | CallError::Unreadable { .. }
        | CallError::NoTls(_) => AfterFailure::InDoubt,
    }
}

/// Whether an answer names some of those that were sent and no others: one that names others says nothing of those that
/// were sent, and one that names all of them changed none.
fn is_part_of(failed: &[String], sent: &[ChangeItem]) -> bool {
    let failed: HashSet<&str> = failed.iter().map(String::as_str).collect();
    let sent: HashSet<&str> = sent.iter().map(ChangeItem::openid).collect();
    !failed.is_empty() && failed.len() < sent.len() && failed.is_subset(&sent)
}

/// Whether a single openid of the batch can be the reason of a refusal.
fn may_be_one_openid(change: Change, refusal: &Refusal) -> bool {
    let is_of_openid = ONE_OPENID.contains(&refusal.errcode)
        || [OPENID_BUSY, SOME_OPENIDS_FAILED].contains(&refusal.errcode);
    // In a call that takes a single openid, that one is the reason, whatever the code.
    is_of_openid || (change.batch_size() == 1 && refusal.class() == Class::Caller)
}

#[cfg(test)]
mod tests {
    use super::{AfterFailure, TagAge, after_failure};
    use crate::{
        api::{
            Credential,
            errcode::{DAILY_QUOTA, INVALID_OPENID, INVALID_TAG_ID, OPENID_BUSY, SOME_OPENIDS_FAILED},
        },
        bulk::model::{batch::ChangeItem, change::Change},
        client::{CallError, Refusal},
    };

    const ATTACH: Change = Change::Attach(100);

    fn refused(errcode: i64, failed: &[&str]) -> Refusal {
        Refusal {
            endpoint: "tag::attach",
            errcode,
            errmsg: String::new(),
            rid: None,
            failed: failed.iter().map(|openid| (*openid).to_owned()).collect(),
            credential: Credential::AccessToken,
            is_in_doubt: false,
        }
    }

    fn decided(change: Change, age: TagAge, error: &CallError) -> String {
        let sent = ["甲", "乙"].map(|openid| ChangeItem::Openid(openid.to_owned()));
        match after_failure(change, &sent, error, age) {
            AfterFailure::ChangedExcept(failed) => format!("changed except {}", failed.join(" ")),
            AfterFailure::Bisect(_) => "bisect".to_owned(),
            AfterFailure::SendLater => "send later".to_owned(),
            AfterFailure::NotSent => "not sent".to_owned(),
            AfterFailure::InDoubt => "in doubt".to_owned(),
        }
    }

    fn after_refusal(errcode: i64, failed: &[&str]) -> String {
        decided(ATTACH, TagAge::Settled, &CallError::Refused(Box::new(refused(errcode, failed))))
    }

    #[test]
    fn refusal_that_names_some_has_changed_the_others() {
        assert_eq!(after_refusal(SOME_OPENIDS_FAILED, &["乙"]), "changed except 乙");
    }

    #[test]
    fn refusal_that_names_all_is_bisected() {
        assert_eq!(after_refusal(SOME_OPENIDS_FAILED, &["甲", "乙"]), "bisect");
    }

    #[test]
    fn refusal_that_names_others_is_bisected() {
        assert_eq!(after_refusal(SOME_OPENIDS_FAILED, &["丙"]), "bisect");
    }

    #[test]
    fn refusal_that_names_none_is_bisected() {
        assert_eq!(after_refusal(SOME_OPENIDS_FAILED, &[]), "bisect");
    }

    #[test]
    fn refusal_for_one_openid_is_bisected() {
        assert_eq!(after_refusal(INVALID_OPENID, &[]), "bisect");
    }

    #[test]
    fn refusal_of_a_busy_openid_is_bisected() {
        assert_eq!(after_refusal(OPENID_BUSY, &[]), "bisect");
    }

    #[test]
    fn tag_that_was_just_created_is_waited_for() {
        let error = CallError::Refused(Box::new(refused(INVALID_TAG_ID, &[])));
        assert_eq!(decided(ATTACH, TagAge::New, &error), "send later");
    }

    #[test]
    fn tag_that_does_not_exist_ends_the_job() {
        assert_eq!(after_refusal(INVALID_TAG_ID, &[]), "not sent");
    }

    #[test]
    fn call_that_takes_a_single_openid_is_bisected_by_any_code_of_the_caller() {
        let error = CallError::Refused(Box::new(refused(INVALID_TAG_ID, &[])));
        assert_eq!(decided(Change::Remark, TagAge::Settled, &error), "bisect");
    }

    #[test]
    fn used_up_quota_ends_the_job() {
        assert_eq!(after_refusal(DAILY_QUOTA, &[]), "not sent");
    }

    #[test]
    fn refusal_after_an_unanswered_attempt_is_in_doubt() {
        let refusal = Refusal { is_in_doubt: true, ..refused(-1, &[]) };
        assert_eq!(decided(ATTACH, TagAge::Settled, &CallError::Refused(Box::new(refusal))), "in doubt");
    }

    #[test]
    fn call_that_was_throttled_was_not_sent() {
        let error =
            CallError::Throttled { endpoint: "tag::attach", host: "主机".to_owned(), tries: 1, wait: None };
        assert_eq!(decided(ATTACH, TagAge::Settled, &error), "not sent");
    }

    #[test]
    fn call_without_an_answer_is_in_doubt() {
        let error = CallError::NoAnswer {
            endpoint: "tag::attach",
            host: "主机".to_owned(),
            reason: "超时".to_owned(),
            tries: 1,
            in_doubt: true,
        };
        assert_eq!(decided(ATTACH, TagAge::Settled, &error), "in doubt");
    }

    #[test]
    fn answer_that_can_not_be_read_is_in_doubt() {
        let error = CallError::Unreadable { endpoint: "tag::attach", reason: "不是 JSON".to_owned() };
        assert_eq!(decided(ATTACH, TagAge::Settled, &error), "in doubt");
    }
}
