//! Installs secrets from sops files on a machine. `ARCHITECTURE.md` is the map of this crate.

#![forbid(unsafe_code)]

pub mod audit;
pub mod changes;
pub mod check;
pub mod cli;
pub mod error;
pub mod escape;
pub mod generation;
pub mod identity;
pub mod install;
mod lookalike;
pub mod manifest;
pub mod open;
pub mod parallel;
pub mod plan;
pub mod record;
pub mod secret;
pub mod sops;
pub mod system;
pub mod template;
pub mod units;
pub mod voice;
