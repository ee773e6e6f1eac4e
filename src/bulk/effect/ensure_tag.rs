//! Tags by name.

use crate::{
    api::{
        errcode::INVALID_TAG_NAME,
        tag::{Create, List, Tag},
    },
    client::{CallError, Client},
};

/// A tag that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnsuredTag {
    /// This call created it.
    Created(Tag),
    /// Another program created it between our look-up and our call.
    Found(Tag),
}

/// The tag of this name, if there is one.
pub(crate) async fn find_tag(client: &Client, name: &str) -> Result<Option<Tag>, CallError> {
    let tags = client.call(&List {}).await?.tags;
    Ok(tags.into_iter().find(|tag| tag.name == name))
}

/// Creates the tag of this name, which did not exist when it was last looked for.
///
/// If the answer is lost, or the name is taken, the list of tags tells.
pub async fn ensure_tag(client: &Client, name: &str) -> Result<EnsuredTag, CallError> {
    let create = Create { name: name.to_owned() };
    let error = match client.call(&create).await {
        Ok(tag) => return Ok(EnsuredTag::Created(tag)),
        Err(error) => error,
    };
    let is_in_doubt = matches!(&error, CallError::NoAnswer { in_doubt: true, .. });
    if !is_in_doubt && error.errcode() != Some(INVALID_TAG_NAME) {
        return Err(error);
    }
    match find_tag(client, name).await? {
        Some(tag) if is_in_doubt => Ok(EnsuredTag::Created(tag)),
        Some(tag) => Ok(EnsuredTag::Found(tag)),
        None if is_in_doubt => client.call(&create).await.map(EnsuredTag::Created),
        None => Err(error),
    }
}
