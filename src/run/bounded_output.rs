//! What one run may print: a text up to a length, all texts up to a sum. What is beyond is counted, and the count is
//! printed at the run's end.

use crate::{
    base::{Redactor, lock},
    script::Output,
};
use std::sync::{Arc, Mutex};

/// The longest text, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// The most bytes that one attempt prints.
const MAX_BYTES: usize = 10 << 20;

/// An output that passes on what is within the bounds.
pub(super) struct BoundedOutput {
    output: Arc<dyn Output>,
    secrets: Redactor,
    max_bytes: usize,
    state: Mutex<Printed>,
}

#[derive(Default)]
struct Printed {
    bytes: usize,
    dropped_texts: u64,
    dropped_bytes: u64,
}

impl BoundedOutput {
    pub(super) fn new(output: Arc<dyn Output>, secrets: &Redactor) -> Self {
        Self { output, secrets: secrets.clone(), max_bytes: MAX_BYTES, state: Mutex::default() }
    }

    /// Prints how much was dropped.
    pub(super) fn finish(&self) {
        let Printed { dropped_texts, dropped_bytes, .. } = *lock(&self.state);
        if dropped_texts > 0 {
            let max = self.max_bytes >> 20;
            self.output.print(&format!(
                "… {dropped_texts} more texts of {dropped_bytes} bytes were not printed: a run prints {max} MiB at the most"
            ));
        }
    }

    /// The text as it is passed on; `None` beyond the sum.
    fn bound(&self, text: &str) -> Option<String> {
        let mut state = lock(&self.state);
        let cost = text.len().min(MAX_TEXT) + 1;
        if state.bytes + cost > self.max_bytes {
            state.dropped_texts += 1;
            state.dropped_bytes += text.len() as u64;
            return None;
        }
        state.bytes += cost;
        drop(state);
        Some(self.secrets.cut(text, MAX_TEXT))
    }
}

impl Output for BoundedOutput {
    fn print(&self, text: &str) {
        if let Some(text) = self.bound(text) {
            self.output.print(&text);
        }
    }

    fn debug(&self, text: &str) {
        if let Some(text) = self.bound(text) {
            self.output.debug(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Output for Kept {
        fn print(&self, text: &str) {
            lock(&self.0).push(text.to_owned());
        }

        fn debug(&self, text: &str) {
            self.print(text);
        }
    }

    fn printed(texts: &[&str], max_bytes: usize) -> Vec<String> {
        let kept = Arc::new(Kept::default());
        let output = BoundedOutput {
            max_bytes,
            ..BoundedOutput::new(Arc::<Kept>::clone(&kept), &Redactor::default())
        };
        for text in texts {
            output.print(text);
        }
        output.finish();
        lock(&kept.0).clone()
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let text = "微".repeat(30_000);
        let kept = printed(&[&text], 1 << 20);
        assert_eq!(kept, [format!("{}… 24465 more bytes", "微".repeat(21_845))]);
    }

    #[test]
    fn texts_beyond_the_sum_are_counted() {
        let kept = printed(&["一", "二", "三", ""], 8);
        let end = "… 2 more texts of 3 bytes were not printed: a run prints 0 MiB at the most";
        assert_eq!(kept, ["一", "二", end]);
    }
}
