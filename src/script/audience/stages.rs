//! An audience's steps under way: who passes them, one after another.

use super::audience::{Audience, Closure, Step, to_value};
use crate::{
    api::{Batched, user},
    bulk::Listed,
    script::host::{env::RunEnv, error::ScriptError, value::describe_type},
};
use rhai::EvalAltResult;

/// Steps under way.
pub(crate) struct Steps(Vec<Sieve>);

/// One step with what it has come to.
enum Sieve {
    Filter(Closure),
    /// So many more may pass.
    Take(usize),
    Sample(Sample),
}

/// People drawn at random from a stream of unknown length (reservoir sampling): at any moment each of
/// those seen is held with the same chance.
struct Sample {
    size: usize,
    seen: usize,
    /// With the place in the stream.
    held: Vec<(usize, Listed)>,
    /// Held in the reverse of their order, when the stream has ended.
    is_sorted: bool,
    /// Somebody was told whom it holds at the end.
    is_told: bool,
}

/// What the steps make of somebody.
pub(crate) enum Verdict {
    Matched(Listed),
    Unmatched,
    /// It is not known yet: they may be drawn.
    Held,
    /// Nobody more can pass.
    Enough,
}

impl Sample {
    /// Takes somebody in; whether that put somebody out for good.
    fn draw(&mut self, person: Listed) -> bool {
        let place = self.seen;
        self.seen += 1;
        if self.held.len() < self.size {
            self.held.push((place, person));
            return false;
        }
        if let Some(held) = self.held.get_mut(fastrand::usize(..=place)) {
            *held = (place, person);
        }
        true
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            self.held.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
            self.is_sorted = true;
        }
    }

    /// Takes out the next few: as many as come at once from a list, so that what follows can stop in time.
    fn release(&mut self) -> Vec<Listed> {
        self.sort();
        let rest = self.held.len().saturating_sub(user::Batch::MOST);
        self.held.drain(rest..).rev().map(|(_, person)| person).collect()
    }
}

impl Steps {
    pub(crate) fn new(audience: &Audience) -> Self {
        let sieves = audience.steps.iter().map(|step| match step {
            Step::Filter(closure) => Sieve::Filter(closure.clone()),
            Step::Take(count) => Sieve::Take(*count),
            Step::Sample(size) => Sieve::Sample(Sample {
                size: *size,
                seen: 0,
                held: Vec::new(),
                is_sorted: false,
                is_told: false,
            }),
        });
        Self(sieves.collect())
    }

    /// How many more each `take` lets pass, in order.
    pub(crate) fn takes(&self) -> Vec<usize> {
        let left = self.0.iter().filter_map(|sieve| match sieve {
            Sieve::Take(left) => Some(*left),
            _ => None,
        });
        left.collect()
    }

    /// Goes on from what `takes` gave.
    pub(crate) fn restore(&mut self, takes: &[usize]) {
        let of_takes = self.0.iter_mut().filter_map(|sieve| match sieve {
            Sieve::Take(left) => Some(left),
            _ => None,
        });
        for (left, before) in of_takes.zip(takes) {
            *left = *before;
        }
    }

    /// Whether a sample has seen somebody of whom it is not known yet whether they pass.
    pub(crate) fn are_holding(&self) -> bool {
        self.0.iter().any(|sieve| matches!(sieve, Sieve::Sample(sample) if sample.seen > 0))
    }

    /// After the last of a stream, once for each sample: whom it holds, and the step that they come to.
    pub(crate) fn newly_drawn(&mut self) -> Option<(usize, Vec<String>)> {
        let mut samples = self.0.iter_mut().enumerate().filter_map(|(at, sieve)| match sieve {
            Sieve::Sample(sample) if !sample.held.is_empty() => Some((at, sample)),
            _ => None,
        });
        let (at, sample) = samples.next().filter(|(_, sample)| !sample.is_told)?;
        sample.sort();
        sample.is_told = true;
        Some((at + 1, sample.held.iter().rev().map(|(_, person)| person.openid.clone()).collect()))
    }

    /// Shows somebody to the steps from this one on; filters let pass whom they have let pass `before`.
    pub(crate) fn judge(
        &mut self,
        env: &RunEnv,
        person: Listed,
        from: usize,
        before: bool,
    ) -> Result<Verdict, Box<EvalAltResult>> {
        for sieve in self.0.iter_mut().skip(from) {
            match sieve {
                Sieve::Take(0) => return Ok(Verdict::Enough),
                Sieve::Take(left) => *left -= 1,
                Sieve::Sample(sample) => {
                    // This one, or one who was held until now.
                    let is_somebody_out = sample.draw(person);
                    return Ok(if is_somebody_out { Verdict::Unmatched } else { Verdict::Held });
                }
                Sieve::Filter(closure) => {
                    let verdict = closure.call(env, to_value(&person))?;
                    match verdict.as_bool() {
                        // The change itself may have turned the verdict.
                        Ok(_) if before => {}
                        Ok(true) => {}
                        Ok(false) => return Ok(Verdict::Unmatched),
                        Err(_) => {
                            let given = describe_type(&verdict);
                            let message =
                                format!("the closure of filter must give true or false; it gave {given}");
                            let hint = "write a comparison as its last line, without a semicolon";
                            return Err(ScriptError::usage(message, hint).raise());
                        }
                    }
                }
            }
        }
        Ok(Verdict::Matched(person))
    }

    /// Whether nobody more can pass who comes to the steps from this one on.
    pub(crate) fn are_full(&self, from: usize) -> bool {
        self.0.iter().skip(from).any(|sieve| matches!(sieve, Sieve::Take(0)))
    }

    /// After the last of a stream: the next of those whom the first sample still holds, in order, and the
    /// step that they come to.
    pub(crate) fn release(&mut self) -> Option<(Vec<Listed>, usize)> {
        self.0.iter_mut().enumerate().find_map(|(at, sieve)| match sieve {
            Sieve::Sample(sample) if !sample.held.is_empty() => Some((sample.release(), at + 1)),
            _ => None,
        })
    }
}
