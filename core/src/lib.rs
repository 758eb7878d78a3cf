//! What `sops-install` decides without touching a machine: it reads sops files and manifests, plans, and renders templates.
//! `ARCHITECTURE.md` in the directory above is the map.

#![forbid(unsafe_code)]

pub mod changes;
pub mod error;
pub mod escape;
pub mod generation;
pub mod lookalike;
pub mod manifest;
pub mod plan;
pub mod record;
pub mod secret;
pub mod sops;
pub mod template;
pub mod units;
