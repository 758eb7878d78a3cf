//! The program that sops-nix's modules run, with its command line.

#![no_main]

#[path = "../process/mod.rs"]
mod process;

use sops_install::cli::sops_nix;
use std::ffi::OsString;

fn run(mut words: Vec<OsString>) -> u8 {
    // The first one is the program.
    words.drain(..words.len().min(1));
    process::run("sops-install-secrets", |process| sops_nix::run(words, process))
}
