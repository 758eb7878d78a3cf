//! `sops-install keygen`: makes an age identity, as `age-keygen` does.

use super::{Exit, Process, report};
use crate::error::{Error, Result};
use crate::identity;
use crate::secret::SecretBytes;
use crate::system::write::write_new;
use anyhow::Context;
use std::io;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Keygen {
    /// Where the identity is written to, readable by its owner alone. A file that exists is never overwritten, and
    /// directories that are missing are made. Without this, the identity is printed.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Keygen, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let (identity, recipient) = identity::generate();
    let mut text = SecretBytes::from(format!("# public key: {recipient}\n"));
    text.push(identity.expose());
    text.push_text("\n");
    let Some(path) = &arguments.output else {
        process.output.write_all(text.expose()).context("cannot write to standard output")?;
        if !process.output_is_terminal {
            writeln!(process.errors, "Public key: {recipient}").context("cannot write to standard error")?;
        }
        return Ok(Exit::Done);
    };
    match write(path, &text) {
        Ok(()) => {
            writeln!(process.errors, "Public key: {recipient}").context("cannot write to standard error")?;
            Ok(Exit::Done)
        }
        Err(error) => {
            report(process, &[error])?;
            Ok(Exit::Failed)
        }
    }
}

fn write(path: &Path, text: &SecretBytes) -> Result<()> {
    let describe = |error: io::Error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        let error = Error::new(format!("cannot write the identity to {}", path.display())).because(error);
        match exists {
            true => error
                .help("an identity is never overwritten: what is encrypted to it could be lost; choose another file"),
            false => error.help("check the directory, the space in it, and who may write there"),
        }
    };
    write_new(path, text).map_err(describe)
}
