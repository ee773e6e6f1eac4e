//! The modules that scripts have without an import.

use std::collections::BTreeSet;

/// Calls of paths that no function declares.
pub(crate) const RAW_API: &str = "api";

/// What the platform pushes to the developer's server.
pub(crate) const CALLBACK: &str = "callback";

/// Helpers for reports, which have no endpoints.
pub(crate) const REPORT: &str = "report";

/// One for each area of endpoints, and those above.
pub(crate) fn modules() -> BTreeSet<&'static str> {
    let areas = crate::api::all().into_iter().filter_map(|spec| Some(spec.name.split_once("::")?.0));
    areas.chain([RAW_API, CALLBACK, REPORT]).collect()
}
