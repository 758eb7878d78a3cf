//! Installs secrets from sops files on a machine. `ARCHITECTURE.md` is the map of this crate.

#![forbid(unsafe_code)]

pub use sops_install_core::{
    changes, error, escape, generation, lookalike, manifest, plan, record, secret, sops, template, units,
};

pub mod audit;
pub mod check;
pub mod cli;
pub mod identity;
pub mod install;
pub mod open;
pub mod parallel;
pub mod system;
pub mod voice;
