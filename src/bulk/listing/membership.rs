//! Disk-backed set of openids that already have the tag (or are blocked), for jobs over bare openids, which carry no tag
//! list. There may be millions, so it is kept out of memory.

use super::reader::{Details, ReadError, Reader, ReaderConfig};
use crate::{
    bulk::model::{counts::Counters, cursor::PageCursor, source::Source},
    client::{CallError, Client},
    store::{StoreError, TempSet},
};
use std::{collections::HashSet, path::Path, sync::Arc};

/// Openids of one write.
const CHUNK: usize = 10_000;

/// Why membership can't be known.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The list can't be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// The set can't be written or read.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The openids of a listing.
pub struct MemberSet(TempSet);

impl MemberSet {
    /// Lists all openids of a source, and keeps them in a file in this folder until the set is dropped.
    pub async fn list(
        client: &Client,
        in_flight: usize,
        source: Source,
        folder: &Path,
    ) -> Result<Self, MembershipError> {
        let scratch = TempSet::new(folder).await?;
        let (listing, counts) = (source.listing(), Arc::<Counters>::default());
        let mut reader = Reader::open(ReaderConfig {
            client: client.clone(),
            in_flight,
            source,
            details: Details::Omitted,
            needed: None,
            limit: None,
            counts: Arc::clone(&counts),
            from: PageCursor::default(),
        });
        let mut waiting = Vec::new();
        while let Some(batch) = reader.next().await? {
            waiting.extend(batch.people.into_iter().map(|person| person.openid));
            if waiting.len() >= CHUNK {
                scratch.add(&waiting).await?;
                waiting.clear();
            }
        }
        scratch.add(&waiting).await?;
        // An incomplete set would take members for non-members.
        match (Counters::read(&counts.missing), listing) {
            (missing @ 1.., Some(spec)) => {
                let listed = Counters::read(&counts.listed);
                let reason = format!("the list ended after {listed} of {}", listed + missing);
                Err(ReadError::Call(CallError::Unreadable { endpoint: spec.name, reason }).into())
            }
            _ => Ok(Self(scratch)),
        }
    }

    /// Adds openids.
    pub async fn add(&self, openids: &[String]) -> Result<(), MembershipError> {
        Ok(self.0.add(openids).await?)
    }

    /// Removes openids.
    pub async fn remove(&self, openids: &[String]) -> Result<(), MembershipError> {
        Ok(self.0.remove(openids).await?)
    }

    /// The given openids that are in the set.
    pub async fn intersect(&self, openids: &[String]) -> Result<HashSet<String>, MembershipError> {
        Ok(self.0.intersect(openids).await?.into_iter().collect())
    }
}
