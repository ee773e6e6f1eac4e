//! The stages of a running audience: which followers pass them, one after another.

use super::{
    audience::{Audience, Stage, to_value},
    closure::Closure,
};
use crate::{
    api::{Batched, user},
    bulk::{DrawnSample, Listed},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
        value::describe_type,
    },
};

/// The stages of an audience with their state.
pub(crate) struct Pipeline(Vec<StageState>);

/// One stage with the state that it accumulates.
enum StageState {
    Filter(Closure),
    /// How many more may pass.
    Take(usize),
    Sample(Sample),
}

/// Followers drawn at random from a stream of unknown length (reservoir sampling): at any moment each of
/// those seen is held with the same probability.
struct Sample {
    size: usize,
    seen: usize,
    /// With their positions in the stream.
    held: Vec<(usize, Listed)>,
    /// `held` is in reverse order of position: the stream has ended.
    is_sorted: bool,
    /// [`Pipeline::take_sample`] has returned it.
    is_taken: bool,
}

/// What the stages decided about a follower.
pub(crate) enum StageResult {
    Pass(Listed),
    Reject,
    /// Undecided until the stream ends: a sample may still draw them.
    Buffered,
    /// No further follower can pass.
    Exhausted,
}

/// Followers that a sample has drawn, to be passed on.
pub(crate) struct SampledFollowers {
    pub people: Vec<Listed>,
    /// The index of the first stage after the sample.
    pub next_stage: usize,
}

/// Whether a filter decides about a follower, or an earlier attempt has decided.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtering {
    Decides,
    /// An earlier attempt batched the follower, so they passed. The filter is called for its effects only: its result
    /// may have changed because the change itself was made.
    Decided,
}

impl Sample {
    fn new(size: usize) -> Self {
        Self { size, seen: 0, held: Vec::new(), is_sorted: false, is_taken: false }
    }

    /// Offers a follower to the reservoir; whether one (this or an earlier one) is rejected for good.
    fn draw(&mut self, person: Listed) -> bool {
        let position = self.seen;
        self.seen += 1;
        if self.held.len() < self.size {
            self.held.push((position, person));
            return false;
        }
        if let Some(held) = self.held.get_mut(fastrand::usize(..=position)) {
            *held = (position, person);
        }
        true
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            self.held.sort_unstable_by_key(|(position, _)| std::cmp::Reverse(*position));
            self.is_sorted = true;
        }
    }

    /// Removes the next few, no more than a page of details, so that a later stage that is exhausted stops the drain.
    fn drain(&mut self) -> Vec<Listed> {
        self.sort();
        let rest = self.held.len().saturating_sub(user::Batch::MAX_ITEMS);
        self.held.drain(rest..).rev().map(|(_, person)| person).collect()
    }
}

impl Pipeline {
    pub(crate) fn new(audience: &Audience) -> Self {
        let stages = audience.stages.iter().map(|stage| match stage {
            Stage::Filter(closure) => StageState::Filter(closure.clone()),
            Stage::Take(count) => StageState::Take(*count),
            Stage::Sample(size) => StageState::Sample(Sample::new(*size)),
        });
        Self(stages.collect())
    }

    /// How many more followers each `take` lets pass, in order of the stages. A checkpoint stores it.
    pub(crate) fn take_remaining(&self) -> Vec<usize> {
        let remaining = self.0.iter().filter_map(|stage| match stage {
            StageState::Take(remaining) => Some(*remaining),
            StageState::Filter(_) | StageState::Sample(_) => None,
        });
        remaining.collect()
    }

    /// Restores what [`Self::take_remaining`] gave, which has been compared with the stages; nothing before the first
    /// checkpoint.
    pub(crate) fn restore(&mut self, take_remaining: &[usize]) {
        let takes = self.0.iter_mut().filter_map(|stage| match stage {
            StageState::Take(remaining) => Some(remaining),
            StageState::Filter(_) | StageState::Sample(_) => None,
        });
        for (remaining, restored) in takes.zip(take_remaining) {
            *remaining = *restored;
        }
    }

    /// Whether a sample holds followers that are not decided yet.
    pub(crate) fn is_buffering(&self) -> bool {
        self.0.iter().any(|stage| match stage {
            StageState::Sample(sample) => sample.seen > 0,
            StageState::Filter(_) | StageState::Take(_) => false,
        })
    }

    /// After the end of the stream, once per sample: what it drew.
    pub(crate) fn take_sample(&mut self) -> Option<DrawnSample> {
        let mut samples = self.0.iter_mut().enumerate().filter_map(|(at, stage)| match stage {
            StageState::Sample(sample) => (!sample.held.is_empty()).then_some((at, sample)),
            StageState::Filter(_) | StageState::Take(_) => None,
        });
        let (at, sample) = samples.next().filter(|(_, sample)| !sample.is_taken)?;
        sample.sort();
        sample.is_taken = true;
        let openids = sample.held.iter().rev().map(|(_, person)| person.openid.clone()).collect();
        Some(DrawnSample { next_stage: at + 1, openids })
    }

    /// Passes a follower through the stages from `from` on.
    pub(crate) fn apply(
        &mut self,
        env: &RunEnv,
        person: Listed,
        from: usize,
        filtering: Filtering,
    ) -> ScriptResult<StageResult> {
        for stage in self.0.iter_mut().skip(from) {
            match stage {
                StageState::Take(0) => return Ok(StageResult::Exhausted),
                StageState::Take(remaining) => *remaining -= 1,
                StageState::Sample(sample) => {
                    let has_rejected = sample.draw(person);
                    return Ok(if has_rejected { StageResult::Reject } else { StageResult::Buffered });
                }
                StageState::Filter(closure) => {
                    let given = closure.call(env, to_value(&person))?;
                    match given.as_bool() {
                        Ok(passes) if passes || filtering == Filtering::Decided => {}
                        Ok(_) => return Ok(StageResult::Reject),
                        Err(_) => {
                            let given = describe_type(&given);
                            let message = format!(
                                "the closure of filter must return true or false; it returned {given}"
                            );
                            let hint = "end it with a comparison, without a semicolon";
                            return Err(ScriptError::usage(message, hint).raise());
                        }
                    }
                }
            }
        }
        Ok(StageResult::Pass(person))
    }

    /// Whether no follower that enters at stage `from` can pass any more.
    pub(crate) fn is_full(&self, from: usize) -> bool {
        self.0.iter().skip(from).any(|stage| match stage {
            StageState::Take(remaining) => *remaining == 0,
            StageState::Filter(_) | StageState::Sample(_) => false,
        })
    }

    /// After the end of the stream: the next followers that the first non-empty sample drew, in order.
    pub(crate) fn drain_sample(&mut self) -> Option<SampledFollowers> {
        self.0.iter_mut().enumerate().find_map(|(at, stage)| match stage {
            StageState::Sample(sample) => (!sample.held.is_empty())
                .then(|| SampledFollowers { people: sample.drain(), next_stage: at + 1 }),
            StageState::Filter(_) | StageState::Take(_) => None,
        })
    }
}
