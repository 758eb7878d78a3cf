//! Installs secrets from sops files on a machine. `ARCHITECTURE.md` is the map of this crate.

pub mod error;
pub mod secret;
pub mod sops;
