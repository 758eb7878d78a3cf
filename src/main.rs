//! Runs the command line and ends with its exit code.

use clap::Parser;
use sops_install::cli::{self, Arguments};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(Arguments::parse(), &mut std::io::stderr()) {
        Ok(exit) => ExitCode::from(exit as u8),
        // Standard error cannot be written to, so there is nobody left to tell.
        Err(_) => ExitCode::from(cli::Exit::Failed as u8),
    }
}
