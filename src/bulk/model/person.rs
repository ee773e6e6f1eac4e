//! A follower as a listing gives them.

use super::batch::{ChangeItem, RemarkChange};
use crate::api::user::User;
use std::sync::Arc;

/// A follower that a listing gave.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The openid.
    pub openid: String,
    /// The details, where they are fetched.
    pub user: Option<Arc<User>>,
    /// What a run did to the remark, where the follower comes from its journal.
    pub remark_change: Option<Arc<RemarkChange>>,
}

impl Listed {
    /// A follower of whom only the openid is known.
    #[must_use]
    pub fn new(openid: String) -> Self {
        Self { openid, user: None, remark_change: None }
    }

    /// A follower that a run has changed.
    pub(crate) fn from_change(item: &ChangeItem) -> Self {
        Self { remark_change: item.remark_change().map(Arc::new), ..Self::new(item.openid().to_owned()) }
    }
}
