//! Lines of a pipe, of a bounded length: a process that writes without a newline must not fill the daemon's memory.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line. The longest message, a printed text, is cut at 64 KiB and grows sixfold as JSON at the most.
const MAX_LINE: usize = 1 << 20;

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// Reads lines.
pub(super) struct Lines<R> {
    reader: R,
    bytes: Vec<u8>,
    /// Up to here there is no newline.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, bytes: Vec::new(), searched: 0 }
    }

    /// The next line without its newline; `None` at the end. What is read stays when the future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.bytes.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.bytes, rest);
                line.pop();
                self.searched = 0;
                let line = String::from_utf8(line);
                return line.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            }
            self.searched = self.bytes.len();
            if self.bytes.len() > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
            }
            self.bytes.reserve(CHUNK);
            if self.reader.read_buf(&mut self.bytes).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> (Vec<String>, Option<String>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing");
        runtime.block_on(async {
            let (mut lines, mut read) = (Lines::new(bytes), Vec::new());
            loop {
                match lines.next().await {
                    Ok(Some(line)) => read.push(line),
                    Ok(None) => return (read, None),
                    Err(error) => return (read, Some(error.to_string())),
                }
            }
        })
    }

    #[test]
    fn lines_are_read_without_an_unfinished_one() {
        assert_eq!(
            read_all("一\n\n二\n三".as_bytes()),
            (vec!["一".into(), String::new(), "二".into()], None)
        );
    }

    #[test]
    fn endless_line_is_an_error() {
        let (read, error) = read_all(&vec![b'x'; 2 << 20]);
        assert_eq!((read.len(), error.as_deref()), (0, Some("the line is too long")));
    }
}
