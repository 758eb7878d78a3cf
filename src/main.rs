//! Runs the command line and ends with its exit code.

#![no_main]

mod process;

use clap::Parser;
use sops_install::cli::{self, Arguments};
use std::ffi::OsString;

fn run(words: Vec<OsString>) -> u8 {
    let plain = Arguments::plain(words.iter().skip(1).cloned());
    let arguments = plain.unwrap_or_else(|| Arguments::parse_from(words));
    process::run("sops-install", |process| cli::run(arguments, process))
}
