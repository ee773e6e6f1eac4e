//! Decodes text files: UTF-8 or UTF-16.

use super::regular_file::read_regular;
use std::path::Path;

/// The error for a file in another encoding.
const NOT_UTF_8: &str = "it is not UTF-8 text: save it as UTF-8";

/// The text of a file: UTF-8, with or without a byte order mark, or UTF-16 with one.
///
/// # Errors
/// When it is in another encoding.
pub fn decode_text(bytes: Vec<u8>) -> Result<String, String> {
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).map_err(|_| NOT_UTF_8.to_owned()),
        _ => String::from_utf8(bytes).map_err(|_| NOT_UTF_8.to_owned()),
    }
}

/// The text of a regular file of at most `max` bytes; the error says why it can't be read, and nothing of what is in it.
///
/// # Errors
/// When it is no regular file, is longer, or is in another encoding.
pub fn read_text(path: &Path, max: u64) -> Result<String, String> {
    read_regular(path, max).map_err(|error| error.to_string()).and_then(decode_text)
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|pair| unit(*pair))).collect::<Result<String, _>>();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err("it is not valid UTF-16 text: save it as UTF-8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_no_part_of_the_text() {
        let little: Vec<u8> = "\u{feff}展台".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}展台".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in ["展台".into(), "\u{feff}展台".into(), little, big] {
            assert_eq!(decode_text(bytes), Ok("展台".to_owned()));
        }
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(decode_text(b"\xce\xa2\xd0\xc5".to_vec()), Err(NOT_UTF_8.to_owned()));
        assert!(decode_text(b"\xff\xfea".to_vec()).is_err());
    }
}
