//! The program on real input: files that the real sops wrote, installed by the built binary.
//!
//! One binary holds all of it, so that it links once. Each module is one question.

// A test that panics has failed, and says where.
#![allow(clippy::unwrap_used, clippy::panic)]

mod activation;
mod audit;
mod cat;
mod common;
mod differential;
mod errors;
mod failures;
mod generations;
mod hostile;
mod identities;
mod inspection;
mod install;
mod module;
mod once;
mod places;
mod reader;
mod real_sops;
mod root;
mod tamper;
