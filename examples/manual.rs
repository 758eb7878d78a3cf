//! Writes the man pages and the completions of shells into a directory: `cargo run --example manual -- DIR`.

use clap_complete::Shell;
use std::fs;
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| anyhow::anyhow!("give the directory that they are written into"))?;
    let command = || sops_install::cli::command().name("sops-install");
    let pages = directory.join("man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(command(), &pages)?;
    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command(), "sops-install", &completions)?;
    }
    Ok(())
}
