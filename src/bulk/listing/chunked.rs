//! A call with a list of any length: cut into calls of the platform's size, made together.

use crate::{
    api::{Batched, answer::Empty, user::Users},
    bulk::WINDOW,
    client::{CallError, Client},
};
use tokio_util::task::AbortOnDropHandle;

/// Answers of the parts of a list, put together.
pub trait MergeAnswer {
    /// Appends the next part's answer.
    fn merge(&mut self, next: Self);
}

impl MergeAnswer for Empty {
    fn merge(&mut self, _next: Self) {}
}

impl MergeAnswer for Users {
    fn merge(&mut self, next: Self) {
        self.user_info_list.extend(next.user_info_list);
    }
}

/// A list of which a part was refused. Every part was sent; the others were done.
#[derive(Clone, Debug)]
pub struct PartialFailure {
    /// What became of the first part that was not done.
    pub error: CallError,
    /// Parts that were not done.
    pub failed: usize,
    /// Parts in all.
    pub parts: usize,
}

/// Calls an endpoint with a list of any length. The calls overlap; the answer is in order.
///
/// An empty list is sent unchanged, so that the caller gets the platform's error (40032).
///
/// # Errors
/// When a part was not done.
pub async fn call_chunked<E>(
    client: &Client,
    in_flight: usize,
    mut request: E,
) -> Result<E::Answer, PartialFailure>
where
    E: Batched,
    E::Answer: MergeAnswer,
{
    let items = std::mem::take(request.items());
    let parts: Vec<Vec<E::Item>> =
        if items.is_empty() { vec![items] } else { items.chunks(E::MAX_ITEMS).map(<[_]>::to_vec).collect() };
    let count = parts.len();
    let mut whole: Option<E::Answer> = None;
    let mut first_error = None;
    let mut failed = 0;
    let mut parts = parts.into_iter().map(|part| {
        let (client, mut request) = (client.clone(), request.clone());
        *request.items() = part;
        AbortOnDropHandle::new(tokio::spawn(async move { client.call(&request).await }))
    });
    let mut running: std::collections::VecDeque<_> = parts.by_ref().take(in_flight * WINDOW).collect();
    while let Some(part) = running.pop_front() {
        // Parts are aborted only with this future; a panic in one is a bug to be seen.
        match part.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
            Ok(answer) => match &mut whole {
                Some(whole) => whole.merge(answer),
                None => whole = Some(answer),
            },
            Err(error) => {
                failed += 1;
                first_error.get_or_insert(error);
            }
        }
        running.extend(parts.next());
    }
    match (first_error, whole) {
        (None, Some(whole)) => Ok(whole),
        (Some(error), _) => Err(PartialFailure { error, failed, parts: count }),
        (None, None) => unreachable!("there is at least one part"),
    }
}
