//! The project held to its own documents: architecture, README, reference, scripts.

mod architecture;
mod automation_scripts;
mod dependencies;
pub(crate) mod deploy;
mod documents;
mod errcode_literals;
mod imports;
mod property;
mod readme;
pub(crate) mod reference;
mod scripts;
