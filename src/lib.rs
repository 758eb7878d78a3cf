//! x
#![allow(missing_docs)]
pub mod secret;
pub mod sops;
