//! Fetches the details of followers and checks each answer against its request: no follower is dropped without a reason.

use crate::{
    api::{
        errcode::ONE_OPENID,
        user::{self, MissingField, User, UserRef},
    },
    bulk::model::{failure::Failure, person::Listed},
    client::{BrokenRecord, CallError, Client},
};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
};

/// A field of the details that a job changes: what is there now decides what is sent and what undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededField {
    /// `tagid_list`.
    Tags,
    /// `remark`.
    Remark,
}

impl NeededField {
    fn check(self, user: &User) -> Result<(), MissingField> {
        match self {
            Self::Tags => user.known_tags().map(drop),
            Self::Remark => user.known_remark().map(drop),
        }
    }
}

/// Followers with their details, and those without.
#[derive(Default)]
pub(super) struct Fetched {
    pub people: Vec<Listed>,
    pub failed: Vec<Failure>,
}

/// The indexes of the openids of a call without details.
#[derive(Default)]
struct Unread {
    refused: Vec<(usize, Failure)>,
    /// With the reason; they may come when asked for again.
    missing: Vec<(usize, String)>,
}

/// Fetches details. Those that don't come, or lack the field that is needed, are asked for again, once.
pub(super) async fn fetch(
    client: Client,
    mut people: Vec<Listed>,
    needed: Option<NeededField>,
) -> Result<Fetched, CallError> {
    let everyone = (0..people.len()).collect();
    let Unread { mut refused, missing } = ask(&client, &mut people, everyone, needed).await?;
    if !missing.is_empty() {
        let again = missing.into_iter().map(|(at, _)| at).collect();
        let unread = ask(&client, &mut people, again, needed).await?;
        refused.extend(unread.refused);
        refused.extend(unread.missing.into_iter().map(|(at, errmsg)| {
            let openid = people[at].openid.clone();
            (at, Failure { openid, errcode: None, errmsg, rid: None, is_of_details: true })
        }));
        refused.sort_by_key(|(at, _)| *at);
    }
    people.retain(|person| person.user.is_some());
    Ok(Fetched { people, failed: refused.into_iter().map(|(_, failure)| failure).collect() })
}

/// Asks for the details of those at these places; a call that is refused for one openid is halved until that one is
/// found.
async fn ask(
    client: &Client,
    people: &mut [Listed],
    places: Vec<usize>,
    needed: Option<NeededField>,
) -> Result<Unread, CallError> {
    let mut unread = Unread::default();
    let mut queue = vec![places];
    while let Some(mut part) = queue.pop() {
        // The openids are lent to the request: a million of them are not copied.
        let user_list = part.iter().map(|at| UserRef {
            openid: mem::take(&mut people[*at].openid),
            lang: Some(Cow::Borrowed("zh_CN")),
        });
        let request = user::Batch { user_list: user_list.collect() };
        let answered = client.call_records(&request).await;
        for (at, asked) in part.iter().zip(request.user_list) {
            people[*at].openid = asked.openid;
        }
        match answered {
            Ok((answer, broken)) => {
                unread.missing.extend(assign(people, &part, answer.user_info_list, &broken, needed));
            }
            Err(CallError::Refused(refusal)) if ONE_OPENID.contains(&refusal.errcode) => {
                if part.len() > 1 {
                    let second = part.split_off(part.len() / 2);
                    queue.push(second);
                    queue.push(part);
                } else {
                    unread.refused.extend(part.into_iter().map(|at| {
                        let failure = Failure {
                            openid: people[at].openid.clone(),
                            errcode: Some(refusal.errcode),
                            errmsg: refusal.errmsg.clone(),
                            rid: refusal.rid.clone(),
                            is_of_details: true,
                        };
                        (at, failure)
                    }));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(unread)
}

/// Assigns the entries of an answer to the followers by openid, since the platform has been seen to return them out of
/// order, and returns the followers without an entry.
fn assign(
    people: &mut [Listed],
    asked: &[usize],
    users: Vec<User>,
    broken: &[BrokenRecord],
    needed: Option<NeededField>,
) -> Vec<(usize, String)> {
    let is_of = |user: &User, at: usize| user.openid.as_ref() == Some(&people[at].openid);
    let is_in_order = users.len() == asked.len()
        && users.iter().zip(asked).all(|(user, at)| is_of(user, *at) && fault_of(user, needed).is_none());
    if is_in_order {
        for (at, user) in asked.iter().zip(users) {
            people[*at].user = Some(Arc::new(user));
        }
        return Vec::new();
    }
    let names: HashSet<&str> = asked.iter().map(|at| people[*at].openid.as_str()).collect();
    let answered = users.iter().filter_map(|user| user.openid.as_deref());
    let answered = answered.chain(broken.iter().filter_map(|record| record.openid.as_deref()));
    // The answer is to another request: all of it is discarded.
    if answered.into_iter().any(|openid| !names.contains(openid)) {
        let reason = "the platform answered with the details of others";
        return asked.iter().map(|at| (*at, reason.to_owned())).collect();
    }
    let mut found: HashMap<String, Result<Arc<User>, String>> = HashMap::with_capacity(asked.len());
    for record in broken {
        if let Some(openid) = &record.openid {
            found.insert(openid.clone(), Err(format!("its details can't be read: {}", record.reason)));
        }
    }
    for user in users {
        let Some(openid) = user.openid.clone() else { continue };
        let fault = fault_of(&user, needed);
        let answer = fault.map_or_else(|| Ok(Arc::new(user)), Err);
        found
            .entry(openid)
            .and_modify(|first| {
                if *first != answer {
                    *first = Err("the platform gave two different answers about it".to_owned());
                }
            })
            .or_insert_with(|| answer.clone());
    }
    let mut missing = Vec::new();
    for at in asked {
        match found.get(&people[*at].openid) {
            Some(Ok(user)) => people[*at].user = Some(Arc::clone(user)),
            Some(Err(reason)) => missing.push((*at, reason.clone())),
            None => missing.push((*at, "the platform gave no details of it".to_owned())),
        }
    }
    missing
}

/// Why an entry does not say whether its openid follows the account, or lacks the field that is needed; all other fields
/// may be absent.
fn fault_of(user: &User, needed: Option<NeededField>) -> Option<String> {
    match user.subscribe {
        Some(0 | 1) => {
            let missing = needed?.check(user).err()?;
            Some(format!("the platform's details of it have no `{}`", missing.field))
        }
        Some(other) => Some(format!("`subscribe` is {other} and must be 0 or 1")),
        None => Some("`subscribe` is missing and must be 0 or 1".to_owned()),
    }
}
