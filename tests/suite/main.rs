//! The program on real input: files that the real sops wrote, installed by the built binary.
//!
//! One binary holds all of it, so that it links once. Each module is one question.

// A test that panics has failed, and says where.
#![allow(clippy::unwrap_used, clippy::panic)]

mod activation;
mod attacker;
mod audit;
mod bad_input;
mod cat;
mod check;
mod common;
mod concurrent;
#[cfg(target_arch = "x86_64")]
mod copying;
mod differential;
mod errors;
mod failures;
mod faults;
mod generations;
mod help;
mod hostile;
mod identities;
mod inspection;
mod install;
mod large;
mod machine;
mod memory;
mod module;
mod once;
mod places;
mod promises;
mod readable;
mod reader;
mod real_sops;
mod residue;
mod root;
mod sieve;
mod start;
mod tamper;
mod unchanged;
