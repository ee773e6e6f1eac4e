//! Definition files (`*.d.rhai`) for editors: signatures with their documents.

use super::entry::{Entry, entries};

/// The files by name, `tag.d.rhai` and so on; global functions are in `global.d.rhai`.
#[must_use]
pub fn definitions() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for entry in entries() {
        let (file, head) = match entry.module.as_str() {
            "" => ("global.d.rhai".to_owned(), "module static;\n".to_owned()),
            module => (format!("{module}.d.rhai"), format!("module {module};\n")),
        };
        if files.last().is_none_or(|(name, _)| *name != file) {
            files.push((file, head));
        }
        if let Some((_, text)) = files.last_mut() {
            text.push_str(&define(&entry));
        }
    }
    files
}

fn define(entry: &Entry) -> String {
    let mut comments: Vec<String> = entry.doc.lines().map(str::to_owned).collect();
    for example in &entry.examples {
        comments.extend([String::new(), "```rhai".to_owned()]);
        comments.extend(example.lines().map(str::to_owned));
        comments.push("```".to_owned());
    }
    let mut text = String::new();
    for signature in &entry.signatures {
        text.push('\n');
        for line in &comments {
            text.push_str(format!("/// {line}").trim_end());
            text.push('\n');
        }
        let on = signature.on.map(|on| format!("{on}: Audience"));
        let parameters: Vec<String> = on
            .into_iter()
            .chain(signature.parameters.iter().map(|(name, kind)| format!("{name}: {kind}")))
            .collect();
        text.push_str(&format!("fn {}({}) -> {};\n", entry.name, parameters.join(", "), signature.gives));
    }
    text
}
