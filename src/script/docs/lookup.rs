//! What `mpscript docs` shows: a function, a module, a kind of value, or the list of all.

use super::{
    cards,
    entry::{Entry, entries},
    errors::{self, errors},
    plain,
};
use crate::{
    base::{SettingNames, closest_match},
    script::{functions::kinds, host::stdlib},
};

/// What `mpscript docs NAME` shows: a function, all of a module, a kind of value, or the errcodes.
///
/// # Errors
/// The nearest name that exists, if one is near.
pub fn look_up(name: &str, names: SettingNames) -> Result<String, Option<String>> {
    let entries = entries();
    if name == "errors" {
        return Ok(errors(names));
    }
    if let Some(code) = name.parse().ok().and_then(crate::api::errcode::meaning) {
        return Ok(errors::one(code, names));
    }
    if let Some(table) = cards::table(name) {
        return Ok(table);
    }
    if name == "Audience" {
        return Ok(plain::list(&entries, "Audiences"));
    }
    let name = name.strip_prefix("audience.").unwrap_or(name);
    let mut described = kinds::kinds();
    described.extend(kinds::automation_parts());
    if let Some(value) = described.iter().find(|value| value.name == name) {
        return Ok(plain::value(value));
    }
    let found: Vec<&Entry> = entries
        .iter()
        .filter(|entry| {
            !name.is_empty() && [&entry.full_name(), &entry.name, &entry.module].contains(&&name.to_owned())
        })
        .collect();
    match found.as_slice() {
        [] => {
            // A key is shown with the other keys of its part.
            let parts = kinds::automation_parts();
            if let Some(part) = parts.iter().find(|part| part.fields.iter().any(|field| field.name == name)) {
                return Ok(plain::value(part));
            }
            let known: Vec<String> =
                entries.iter().flat_map(|entry| [entry.full_name(), entry.module.clone()]).collect();
            let known = known.iter().map(String::as_str).chain(described.iter().map(|value| value.name));
            Err(closest_match(name, known.filter(|name| !name.is_empty())).map(str::to_owned))
        }
        // A module's functions one after another, or one function.
        found => Ok(found.iter().map(|entry| plain::entry(entry)).collect::<Vec<_>>().join("\n\n")),
    }
}

/// A function of the standard library as it is written.
#[must_use]
pub fn library_source(name: &str) -> Option<String> {
    stdlib::source_of(name)
}

/// The names of all entries, a paragraph for each chapter.
#[must_use]
pub fn overview() -> String {
    let mut chapters: Vec<(String, Vec<String>)> = Vec::new();
    for entry in entries() {
        if chapters.last().is_none_or(|(chapter, _)| *chapter != entry.chapter) {
            chapters.push((entry.chapter.clone(), Vec::new()));
        }
        if let Some((_, names)) = chapters.last_mut() {
            names.push(entry.full_name());
        }
    }
    let paragraphs =
        chapters.into_iter().map(|(chapter, names)| format!("{chapter}\n  {}", names.join("  ")));
    paragraphs.collect::<Vec<_>>().join("\n")
}
