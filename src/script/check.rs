//! placeholder
use super::{error::Trouble, program::Program};
/// placeholder
pub fn check(_program: &Program) -> Vec<Trouble> { Vec::new() }
/// placeholder
pub fn problems(_program: &Program, _params: &std::collections::BTreeMap<String, String>) -> Vec<Trouble> { Vec::new() }
/// placeholder
pub fn params(_program: &Program) -> Vec<String> { vec!["scene".into()] }
