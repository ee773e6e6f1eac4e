//! Log lines for requests that anyone can send, however many there are.

use crate::base::lock;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where lines go.
pub(super) type LineWriter = Arc<dyn Fn(&str) + Send + Sync>;

/// Logs one line a second at the most: the last one, with the number of the others.
pub(super) struct CoalescedLog {
    write: LineWriter,
    /// What the others are called.
    others: &'static str,
    /// While the interval after a line is not over: what came since.
    held: Mutex<Option<HeldLines>>,
}

#[derive(Default)]
struct HeldLines {
    last: String,
    count: u64,
}

impl CoalescedLog {
    pub(super) fn new(write: LineWriter, others: &'static str) -> Arc<Self> {
        Arc::new(Self { write, others, held: Mutex::default() })
    }

    /// Logs the line now, or with others at the end of the interval.
    pub(super) fn line(self: &Arc<Self>, line: String) {
        let mut held = lock(&self.held);
        if let Some(held) = held.as_mut() {
            *held = HeldLines { last: line, count: held.count + 1 };
            return;
        }
        *held = Some(HeldLines::default());
        drop(held);
        (self.write)(&line);
        let log = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                if !log.end_interval() {
                    return;
                }
            }
        });
    }

    /// Logs what is held. `false` when there was nothing, so that the next line is logged at once.
    fn end_interval(&self) -> bool {
        let mut held = lock(&self.held);
        let ended = held.take().filter(|held| held.count > 0);
        *held = ended.is_some().then(HeldLines::default);
        drop(held);
        let Some(HeldLines { last, count }) = ended else { return false };
        match count - 1 {
            0 => (self.write)(&last),
            more => (self.write)(&format!(
                "{last}, and {more} more {} within {} s",
                self.others,
                INTERVAL.as_secs()
            )),
        }
        true
    }
}

impl Drop for CoalescedLog {
    fn drop(&mut self) {
        self.end_interval();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is logged of these lines.
    fn logged(lines: &[&str]) -> Vec<String> {
        let written = Arc::<Mutex<Vec<String>>>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let entered = runtime.as_ref().expect("the system gives a runtime").enter();
        let to = Arc::clone(&written);
        let log = CoalescedLog::new(Arc::new(move |line| lock(&to).push(line.to_owned())), "requests");
        for line in lines {
            log.line((*line).to_owned());
        }
        drop(log);
        // Its interval does not end: the task that waits for it is dropped.
        drop(entered);
        drop(runtime);
        let written = lock(&written);
        written.clone()
    }

    #[test]
    fn single_line_is_logged_at_once() {
        assert_eq!(logged(&["一"]), ["一"]);
    }

    #[test]
    fn lines_of_one_interval_are_logged_as_the_last_one_with_a_count() {
        assert_eq!(logged(&["一", "二"]), ["一", "二"]);
        assert_eq!(logged(&["一", "二", "三", "四"]), ["一", "四, and 2 more requests within 1 s"]);
    }
}
