//! The modules that scripts have without an import.

use std::collections::BTreeSet;

/// Calls to paths of the platform that no endpoint declares.
pub(crate) const RAW_API: &str = "api";

/// Messages and events that the platform pushes to the developer's server.
pub(crate) const CALLBACK: &str = "callback";

/// Functions of the standard library for reports; it has no endpoints.
pub(crate) const REPORT: &str = "report";

/// The areas of endpoints, and the modules above.
pub(crate) fn modules() -> BTreeSet<&'static str> {
    let areas = crate::api::all().into_iter().filter_map(|spec| Some(spec.name.split_once("::")?.0));
    areas.chain([RAW_API, CALLBACK, REPORT]).collect()
}
