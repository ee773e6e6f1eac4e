//! The rules of tags: their names, their number, the platform's own, and whom they can be put on.

use crate::api::{Violation, user::rules::Holder};

/// A tag name's longest form in bytes of UTF-8: ten Chinese characters (45158).
pub const MAX_NAME_BYTES: usize = 30;

/// The most tags of one account (45056).
pub const MAX_TAGS: usize = 100;

/// The most tags of one follower (45059).
pub const MAX_TAGS_OF_FOLLOWER: usize = 20;

/// A tag with more followers than this can't be deleted (45057).
pub const MAX_FOLLOWERS_TO_DELETE: u64 = 100_000;

/// The starred group (星标组), which every account has. 0 (未分组) and 1 (黑名单) are never listed.
pub const STARRED: i64 = 2;

/// The least id of an account's own tag.
pub const FIRST_ID: i64 = 100;

/// Names of the platform's own groups, which no tag may take (45157).
const RESERVED_NAMES: [&str; 3] = ["未分组", "黑名单", "星标组"];

/// Whether a tag can be made; `tags` are those that there are, with the starred group among them or not.
///
/// # Errors
/// The name or the number of tags breaks a rule.
pub fn check_create<'a>(
    name: &str,
    tags: impl Iterator<Item = (i64, &'a str)> + Clone,
) -> Result<(), Violation> {
    check_name(name, tags.clone().map(|(_, name)| name))?;
    let own = tags.filter(|(id, _)| *id > STARRED || *id < 0).count();
    if own >= MAX_TAGS { Err(Violation::TooManyTags) } else { Ok(()) }
}

/// Whether a tag can be renamed. A rename to the present name is refused like one to another tag's.
///
/// # Errors
/// The tag is the platform's own or unknown, or the name breaks a rule.
pub fn check_rename<'a>(
    id: i64,
    name: &str,
    tags: impl Iterator<Item = (i64, &'a str)> + Clone,
) -> Result<(), Violation> {
    check_changeable(id)?;
    check_exists(id, tags.clone().map(|(id, _)| id))?;
    check_name(name, tags.map(|(_, name)| name))
}

/// Whether a tag can be deleted; `followers` is how many have it, `None` where there is no such tag.
///
/// # Errors
/// The tag is the platform's own, unknown, or has too many followers.
pub fn check_delete(id: i64, followers: Option<u64>) -> Result<(), Violation> {
    check_changeable(id)?;
    match followers {
        None => Err(Violation::UnknownTag),
        Some(followers) if followers > MAX_FOLLOWERS_TO_DELETE => Err(Violation::TooManyFollowersOfTag),
        Some(_) => Ok(()),
    }
}

/// Whether there is a tag with this id.
///
/// # Errors
/// There is none.
pub fn check_exists(id: i64, mut ids: impl Iterator<Item = i64>) -> Result<(), Violation> {
    if ids.any(|known| known == id) { Ok(()) } else { Err(Violation::UnknownTag) }
}

/// The platform's own tags can be neither renamed nor deleted.
///
/// # Errors
/// The tag is one of them.
pub fn check_changeable(id: i64) -> Result<(), Violation> {
    if (0..=STARRED).contains(&id) { Err(Violation::SystemTag) } else { Ok(()) }
}

/// Whether an openid can be named in a call that puts a tag on or takes it off.
///
/// # Errors
/// It names no follower of the account.
pub fn check_taggable(holder: Holder) -> Result<(), Violation> {
    match holder {
        Holder::Malformed => Err(Violation::MalformedOpenid),
        Holder::Foreign => Err(Violation::ForeignOpenid),
        Holder::Unsubscribed => Err(Violation::Unsubscribed),
        Holder::Follower => Ok(()),
    }
}

/// Whether a follower with these tags can be given one more.
///
/// # Errors
/// They have as many as they may have.
pub fn check_room(tags: &[i64], id: i64) -> Result<(), Violation> {
    if tags.len() >= MAX_TAGS_OF_FOLLOWER && !tags.contains(&id) {
        return Err(Violation::TooManyTagsOfFollower);
    }
    Ok(())
}

fn check_name<'a>(name: &str, mut taken: impl Iterator<Item = &'a str>) -> Result<(), Violation> {
    if name.len() > MAX_NAME_BYTES {
        return Err(Violation::TagNameTooLong);
    }
    if name.trim().is_empty() {
        return Err(Violation::BlankTagName);
    }
    if RESERVED_NAMES.contains(&name) {
        return Err(Violation::ReservedTagName);
    }
    if taken.any(|other| other == name) { Err(Violation::TagNameTaken) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: [(i64, &str); 3] = [(2, "星标组"), (100, "广东"), (101, "北京")];

    #[test]
    fn invalid_tag_name_is_refused() {
        let check = |name: &str| check_create(name, TAGS.into_iter()).map_err(Violation::errcode);
        assert_eq!(check("长三角地区重点客户群"), Ok(()));
        assert_eq!(check("长三角地区重点客户群a"), Err(45158));
        for name in ["", " ", "未分组", "黑名单", "星标组", "广东"] {
            assert_eq!(check(name), Err(45157), "{name}");
        }
    }

    #[test]
    fn tag_101_is_refused_without_counting_the_starred_group() {
        let names: Vec<String> = (0..100).map(|number| format!("门店{number}")).collect();
        let tags = |count: usize| {
            let own = names[..count].iter().zip(100..).map(|(name, id)| (id, name.as_str()));
            std::iter::once((STARRED, "星标组")).chain(own).collect::<Vec<_>>()
        };
        assert_eq!(check_create("新店", tags(99).into_iter()), Ok(()));
        assert_eq!(check_create("新店", tags(100).into_iter()), Err(Violation::TooManyTags));
    }

    #[test]
    fn rename_checks_the_tag_before_the_name() {
        let check = |id, name: &str| check_rename(id, name, TAGS.into_iter());
        assert_eq!(check(100, "广东人"), Ok(()));
        assert_eq!(check(2, ""), Err(Violation::SystemTag));
        assert_eq!(check(999, ""), Err(Violation::UnknownTag));
        assert_eq!(check(100, "广东"), Err(Violation::TagNameTaken));
        assert_eq!(check(100, " "), Err(Violation::BlankTagName));
    }

    #[test]
    fn delete_of_a_tag_over_100_000_followers_is_refused() {
        assert_eq!(check_delete(100, Some(100_000)), Ok(()));
        assert_eq!(check_delete(100, Some(100_001)), Err(Violation::TooManyFollowersOfTag));
        assert_eq!(check_delete(100, None), Err(Violation::UnknownTag));
        assert_eq!(check_delete(0, Some(1)), Err(Violation::SystemTag));
    }

    #[test]
    fn tag_21_of_a_follower_is_refused_unless_present() {
        let tags: Vec<i64> = (100..120).collect();
        assert_eq!(check_room(&tags, 120), Err(Violation::TooManyTagsOfFollower));
        assert_eq!((check_room(&tags, 119), check_room(&tags[1..], 120)), (Ok(()), Ok(())));
    }
}
