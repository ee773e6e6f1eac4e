//! Registers a native function together with its document.

use rhai::{FnNamespace, FuncRegistration};

/// The name of a parameter that a text names a file in. Completion offers files for it.
pub(crate) const FILE: &str = "file";

/// The name of a parameter that a text names a tag in. Completion offers the account's tags for it.
pub(crate) const TAG: &str = "tag";

/// A function of ours, with its parameters as `name: Type`, the type of what it gives last, and its
/// document, as the reference and an editor show them.
pub(crate) fn described(name: &str, parameters: &[&str], doc: &str) -> FuncRegistration {
    FuncRegistration::new(name)
        .with_namespace(FnNamespace::Internal)
        .with_params_info(parameters)
        .with_comments(doc.lines().map(|line| format!("/// {}", line.trim_start())))
}
