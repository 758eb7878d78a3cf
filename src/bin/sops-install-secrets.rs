//! The program that sops-nix's modules run, with its command line.

#[path = "../process.rs"]
mod process;

use sops_install::cli::sops_nix;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect();
    process::run("sops-install-secrets", |process| sops_nix::run(arguments, process))
}
