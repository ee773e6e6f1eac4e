//! Tags by name.

use crate::{
    api::tag::{Create, List, Tag},
    client::{CallError, Client},
};

/// The tag of this name, if there is one.
///
/// # Errors
/// When the tags can't be listed.
pub async fn find_tag(client: &Client, name: &str) -> Result<Option<Tag>, CallError> {
    let tags = client.call(&List {}).await?.tags;
    Ok(tags.into_iter().find(|tag| tag.name == name))
}

/// Makes the tag of this name, which did not exist when it was last looked for; says whether somebody else had made it
/// meanwhile.
///
/// When the answer is lost, or the name is taken, the list tells.
///
/// # Errors
/// When it can neither be made nor found.
pub async fn ensure_tag(client: &Client, name: &str) -> Result<(Tag, bool), CallError> {
    let error = match client.call(&Create { name: name.to_owned() }).await {
        Ok(tag) => return Ok((tag, false)),
        Err(error) => error,
    };
    let is_unsure = matches!(&error, CallError::NoAnswer { in_doubt: true, .. });
    if !is_unsure && error.errcode() != Some(crate::api::errcode::INVALID_TAG_NAME) {
        return Err(error);
    }
    match find_tag(client, name).await? {
        Some(tag) => Ok((tag, !is_unsure)),
        None if is_unsure => client.call(&Create { name: name.to_owned() }).await.map(|tag| (tag, false)),
        None => Err(error),
    }
}
