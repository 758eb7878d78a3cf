//! Runs the command line and ends with its exit code.

mod process;

use clap::Parser;
use sops_install::cli::{self, Arguments};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::plain(std::env::args_os().skip(1)).unwrap_or_else(Arguments::parse);
    process::run("sops-install", |process| cli::run(arguments, process))
}
