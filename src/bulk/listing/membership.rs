//! Who is so already: everybody with a tag, or on the blacklist, listed before a job whose openids tell nothing of
//! themselves. Kept out of memory: it may be millions.

use super::reader::{ReadError, Reader};
use crate::{
    bulk::model::{counts::Counters, cursor::PageCursor, source::Source},
    client::Client,
    store::{Scratch, StoreError},
};
use std::{collections::HashSet, path::Path, sync::Arc};

/// Openids that are written at once.
const AT_ONCE: usize = 10_000;

/// Why it can't be known.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// They can't be listed.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// They can't be kept.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Everybody of a listing.
pub struct Known(Scratch);

impl Known {
    /// Lists everybody of a source, and keeps them in a file in this folder until it is dropped.
    ///
    /// # Errors
    /// When a page can't be had, or there is no room.
    pub async fn list(
        client: &Client,
        in_flight: usize,
        source: Source,
        folder: &Path,
    ) -> Result<Self, KnownError> {
        let scratch = Scratch::new(folder).await?;
        let mut reader = Reader::open(
            client,
            in_flight,
            source,
            false,
            None,
            Arc::<Counters>::default(),
            PageCursor::default(),
        );
        let mut waiting = Vec::new();
        while let Some(batch) = reader.next().await? {
            waiting.extend(batch.people.into_iter().map(|person| person.openid));
            if waiting.len() >= AT_ONCE {
                scratch.add(&waiting).await?;
                waiting.clear();
            }
        }
        scratch.add(&waiting).await?;
        Ok(Self(scratch))
    }

    /// These have come, or have gone.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn change(&self, openids: &[String], have_come: bool) -> Result<(), KnownError> {
        let changed = if have_come { self.0.add(openids).await } else { self.0.remove(openids).await };
        Ok(changed?)
    }

    /// Those of these openids that are among them.
    ///
    /// # Errors
    /// When the file can't be read.
    pub async fn among(&self, openids: &[String]) -> Result<HashSet<String>, KnownError> {
        Ok(self.0.among(openids).await?.into_iter().collect())
    }
}
