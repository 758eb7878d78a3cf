//! Runs the command line and ends with its exit code.

use clap::Parser;
use sops_install::cli::{self, Arguments, Streams};
use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut streams = Streams {
        output: &mut std::io::stdout().lock(),
        output_is_terminal: std::io::stdout().is_terminal(),
        errors: &mut std::io::stderr(),
    };
    let done = sops_install::system::process::prepare()
        .map_err(anyhow::Error::from)
        .and_then(|()| cli::run(Arguments::parse(), &mut streams));
    match done {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            // If it is standard error that cannot be written to, there is nobody left to tell.
            let _ = writeln!(streams.errors, "sops-install: error: {error:#}");
            ExitCode::from(cli::Exit::Failed as u8)
        }
    }
}
