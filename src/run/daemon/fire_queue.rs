//! Fires that this process has and that wait: to be started, or to be resumed.

use crate::{
    base::EpochMs,
    run::registry::Revision,
    store::{AutomationId, Fire, FireKind},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Names a fire: its automation, its trigger and its scheduled instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FireId(AutomationId, String, EpochMs);

impl From<&Fire> for FireId {
    fn from(fire: &Fire) -> Self {
        Self(fire.automation.clone(), fire.trigger.clone(), fire.scheduled_at)
    }
}

/// A fire that waits.
#[derive(Clone)]
pub(super) struct QueuedFire {
    pub fire: Fire,
    /// The revision that its run was started with, where this process knows it.
    pub revision: Option<Arc<Revision>>,
    /// The earliest time of the next try.
    pub not_before: EpochMs,
}

/// Fires that wait, in the order in which they are tried. A fire is in one of the two queues at the most.
#[derive(Default)]
pub(super) struct FireQueue {
    starts: Vec<QueuedFire>,
    resumes: Vec<QueuedFire>,
}

impl FireQueue {
    /// Queues a claimed fire behind all others.
    pub(super) fn push_start(&mut self, queued: QueuedFire) {
        self.starts.push(queued);
    }

    /// Queues a claimed fire before all others: a failure hook does not wait for the automation's backlog.
    pub(super) fn push_failure_hook(&mut self, queued: QueuedFire) {
        self.starts.insert(0, queued);
    }

    /// Queues a fire whose run is resumed later.
    pub(super) fn push_resume(&mut self, queued: QueuedFire) {
        self.resumes.push(queued);
    }

    /// The claimed fire at a position.
    pub(super) fn start_at(&self, position: usize) -> Option<&QueuedFire> {
        self.starts.get(position)
    }

    /// The fire to be resumed at a position.
    pub(super) fn resume_at(&self, position: usize) -> Option<&QueuedFire> {
        self.resumes.get(position)
    }

    /// A claimed fire was started or closed.
    pub(super) fn remove_start(&mut self, id: &FireId) {
        self.starts.retain(|queued| FireId::from(&queued.fire) != *id);
    }

    /// A fire is no longer resumed later: it was, or it was closed.
    pub(super) fn remove_resume_at(&mut self, position: usize) {
        self.resumes.remove(position);
    }

    /// Takes the fire of a run that waits to be resumed out of the queue; whether there was one.
    pub(super) fn remove_resume_of(&mut self, run: &str) -> bool {
        let before = self.resumes.len();
        self.resumes.retain(|queued| queued.fire.run != run);
        self.resumes.len() < before
    }

    /// Whether the fire of this run waits to be resumed.
    pub(super) fn resumes(&self, run: &str) -> bool {
        self.resumes.iter().any(|queued| queued.fire.run == run)
    }

    /// Tries a claimed fire again, but not before this time.
    pub(super) fn defer_start(&mut self, id: &FireId, not_before: EpochMs) {
        let queued = self.starts.iter_mut().filter(|queued| FireId::from(&queued.fire) == *id);
        queued.for_each(|queued| queued.not_before = not_before);
    }

    /// Tries to resume a fire again, but not before this time.
    pub(super) fn defer_resume_at(&mut self, position: usize, not_before: EpochMs) {
        if let Some(queued) = self.resumes.get_mut(position) {
            queued.not_before = not_before;
        }
    }

    /// Tries all claimed fires at once: a run has ended that they may have waited for.
    pub(super) fn retry_starts(&mut self) {
        self.starts.iter_mut().for_each(|queued| queued.not_before = EpochMs::MIN);
    }

    /// Tries to resume some at once.
    pub(super) fn retry_resumes(&mut self, which: impl Fn(&Fire) -> bool) {
        let which = self.resumes.iter_mut().filter(|queued| which(&queued.fire));
        which.for_each(|queued| queued.not_before = EpochMs::MIN);
    }

    /// Tries everything at once: its times were taken from a clock that was wrong.
    pub(super) fn retry_all(&mut self) {
        self.starts.iter_mut().chain(&mut self.resumes).for_each(|queued| queued.not_before = EpochMs::MIN);
    }

    /// The names of all fires that wait.
    pub(super) fn ids(&self) -> HashSet<FireId> {
        self.starts.iter().chain(&self.resumes).map(|queued| FireId::from(&queued.fire)).collect()
    }

    /// How many runs wait to be resumed, by the fires' automations and kinds.
    pub(super) fn resumes_by_kind(&self) -> BTreeMap<(AutomationId, FireKind), usize> {
        let mut counts = BTreeMap::new();
        for QueuedFire { fire, .. } in &self.resumes {
            *counts.entry((fire.automation.clone(), fire.kind)).or_default() += 1;
        }
        counts
    }

    /// Whether no claimed fire waits to be started.
    pub(super) fn has_no_starts(&self) -> bool {
        self.starts.is_empty()
    }

    /// How many fires wait.
    pub(super) fn len(&self) -> usize {
        self.starts.len() + self.resumes.len()
    }
}
