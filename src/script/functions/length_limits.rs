//! Limits the functions that make a list, a text or a blob of a length that the script gives: an allocation larger than
//! the memory would abort the process, with every other run in it.

use crate::script::host::error::{ScriptError, ScriptResult};
use rhai::{Array, Blob, Dynamic, Engine, ImmutableString, Map};

/// The most entries of a list, and characters or bytes of a text or a blob, that are made at once.
const MAX_LENGTH: i64 = 50_000_000;

fn fits(length: i64) -> ScriptResult<usize> {
    if length > MAX_LENGTH {
        let message = format!("at most {MAX_LENGTH} entries are made at once");
        return Err(ScriptError::usage(message, "the memory would not hold more").raise());
    }
    Ok(usize::try_from(length).unwrap_or_default())
}

/// Refuses a value that is longer than the limit because it grew in other ways than by these functions.
pub(crate) fn is_within_limit(value: &Dynamic) -> ScriptResult<()> {
    let length = if let Some(text) = value.read_lock::<ImmutableString>() {
        text.len()
    } else if let Some(list) = value.read_lock::<Array>() {
        list.len()
    } else if let Some(bytes) = value.read_lock::<Blob>() {
        bytes.len()
    } else {
        return Ok(());
    };
    sum_fits(length, 0)
}

/// What an array counts as beside its entries, and a map: at the limit a value of such parts takes some hundred megabytes.
const ARRAY: usize = 16;
const MAP: usize = 64;

/// Refuses a value that is larger than the limit with all that is in it.
pub(crate) fn is_of_limited_size(value: &Dynamic) -> ScriptResult<()> {
    let mut left = usize::try_from(MAX_LENGTH).unwrap_or(usize::MAX);
    if takes(value, &mut left, MAX_DEPTH).is_none() {
        let message = format!("a value has more than {MAX_LENGTH} parts");
        return Err(ScriptError::usage(message, "does a loop put it into itself?").raise());
    }
    Ok(())
}

/// The most levels that are counted.
const MAX_DEPTH: usize = 1_000;

/// Takes the size of a value from what is left; `None` if it is not enough.
fn takes(value: &Dynamic, left: &mut usize, levels: usize) -> Option<()> {
    let mut take = |size: usize| {
        *left = left.checked_sub(size)?;
        Some(())
    };
    if levels == 0 {
        return Some(());
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        take(text.len())
    } else if let Some(list) = value.read_lock::<Array>() {
        take(list.len() + ARRAY)?;
        list.iter().try_for_each(|entry| takes(entry, left, levels - 1))
    } else if let Some(map) = value.read_lock::<Map>() {
        take(map.len() + MAP)?;
        map.values().try_for_each(|entry| takes(entry, left, levels - 1))
    } else if let Some(bytes) = value.read_lock::<Blob>() {
        take(bytes.len())
    } else {
        Some(())
    }
}

fn sum_fits(have: usize, more: usize) -> ScriptResult<()> {
    fits(i64::try_from(have.saturating_add(more)).unwrap_or(i64::MAX)).map(|_| ())
}

fn append<T>(to: &mut Vec<T>, mut more: Vec<T>) -> ScriptResult<()> {
    sum_fits(to.len(), more.len())?;
    to.append(&mut more);
    Ok(())
}

fn joined(mut first: Array, second: Array) -> ScriptResult<Array> {
    append(&mut first, second)?;
    Ok(first)
}

fn pad_text(text: &mut ImmutableString, length: i64, with: &str) -> ScriptResult<()> {
    let length = fits(length)?;
    let have = text.chars().count();
    if have < length && !with.is_empty() {
        let more: String = with.chars().cycle().take(length - have).collect();
        *text += more;
    }
    Ok(())
}

/// The new text may be as long as both arguments' product.
fn replace(text: &mut ImmutableString, find: &str, with: &str) -> ScriptResult<()> {
    if text.is_empty() {
        return Ok(());
    }
    if with.len() > find.len() {
        let more = text.matches(find).count().saturating_mul(with.len() - find.len());
        sum_fits(text.len(), more)?;
    }
    *text = text.replace(find, with).into();
    Ok(())
}

fn blob(length: i64, value: i64) -> ScriptResult<Blob> {
    Ok(vec![value.to_le_bytes()[0]; fits(length)?])
}

pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_fn("pad", |list: &mut Array, length: i64, entry: Dynamic| -> ScriptResult<()> {
            let length = fits(length)?;
            if list.len() < length {
                list.resize(length, entry);
            }
            Ok(())
        })
        .register_fn("pad", |bytes: &mut Blob, length: i64, value: i64| -> ScriptResult<()> {
            let length = fits(length)?;
            if bytes.len() < length {
                bytes.resize(length, value.to_le_bytes()[0]);
            }
            Ok(())
        })
        .register_fn("pad", |text: &mut ImmutableString, length: i64, with: char| {
            pad_text(text, length, &with.to_string())
        })
        .register_fn("pad", |text: &mut ImmutableString, length: i64, with: &str| {
            pad_text(text, length, with)
        })
        .register_fn("replace", replace)
        .register_fn("replace", |text: &mut ImmutableString, find: &str, with: char| {
            replace(text, find, &with.to_string())
        })
        .register_fn("replace", |text: &mut ImmutableString, find: char, with: &str| {
            replace(text, &find.to_string(), with)
        })
        .register_fn("append", append::<Dynamic>)
        .register_fn("append", append::<u8>)
        .register_fn("+", joined)
        .register_fn("blob", |length: i64| blob(length, 0))
        .register_fn("blob", blob);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_values_are_refused_and_others_unchanged() {
        let mut engine = Engine::new();
        register(&mut engine);
        for too_long in [
            "let a = []; a.pad(10000000000000, 0);",
            "let s = \"a\"; s.pad(9000000000000, 'x');",
            "let s = \"a\"; s.pad(9000000000000, \"xy\");",
            "let s = \"\"; s.pad(1000000, 'x'); let t = s; s.replace(\"x\", t);",
            "let s = \"\"; s.pad(1000000, 'x'); let t = s; s.replace('x', t);",
            "let s = \"\"; s.pad(10000000, 'x'); let t = s; s.replace(\"\", \"长文本\");",
            "blob(1000000000000)",
            "blob(1000000000000, 7)",
            "let b = blob(1); b.pad(1000000000000, 7);",
            "let b = blob(30000000); b.append(b);",
        ] {
            let error = engine.eval::<Dynamic>(too_long).expect_err(too_long);
            assert!(ScriptError::find_in(&error).is_some(), "{too_long}: {error}");
        }
        let same = "let a = [1]; a.pad(3, 7); let s = \"乙\"; s.pad(3, '甲'); let t = \"乙\"; t.pad(4, \"ab\"); \
                    let b = blob(2, 258); b.pad(3, 1); a.pad(-1, 0); a.append([8] + [9]); \
                    let r = \"甲a甲\"; r.replace('甲', \"丙丁\"); r.replace(\"a\", 'b'); r.replace('丁', '戊'); \
                    `${a} ${s} ${t} ${b.len()} ${b[0]} ${b[2]} ${r}`";
        let text = engine.eval::<String>(same).expect("it is a script");
        assert_eq!(text, "[1, 7, 7, 8, 9] 乙甲甲 乙aba 3 2 1 丙戊b丙戊");
    }
}
