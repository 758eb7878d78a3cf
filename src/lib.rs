//! Installs secrets from sops files on a machine. `ARCHITECTURE.md` is the map of this crate.

pub mod error;
pub mod generation;
pub mod identity;
pub mod manifest;
pub mod open;
pub mod plan;
pub mod secret;
pub mod sops;
pub mod template;
