//! `sops-install recipient`: the public forms of keys, as `age-keygen -y`, ssh-to-age and ssh-to-pgp print them.

use super::{Exit, Process, machine, report};
use crate::check::no_key;
use crate::error::{Error, Result};
use crate::identity::{is_a_key, recipients};
use crate::secret::SecretBytes;
use crate::system::read::read;
use crate::voice::Voice;
use anyhow::Context;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Recipient {
    /// The files; `/dev/stdin` where there is none.
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Recipient, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let stdin = [PathBuf::from("/dev/stdin")];
    let files = if arguments.files.is_empty() { &stdin[..] } else { &arguments.files };
    let mut exit = Exit::Done;
    for file in files {
        match of_file(file, process.voice) {
            Ok(recipients) => {
                for recipient in recipients {
                    writeln!(process.output, "{recipient}").context("cannot write to standard output")?;
                }
            }
            Err(error) => {
                report(process, &[error])?;
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn of_file(file: &Path, voice: Voice) -> Result<Vec<String>> {
    let bytes = read_keys(file)?;
    recipients(&bytes, &file.display().to_string(), &machine(voice)).map_err(|problems| no_key(file, &problems))
}

/// Reads a file of keys.
pub(super) fn read_keys(file: &Path) -> Result<SecretBytes> {
    if is_a_key(&file.to_string_lossy()) {
        return Err(Error::new("a key was given in place of a file")
            .help("put the key into a file, or write it to standard input: `… | sops-install recipient`"));
    }
    let describe = || Error::new(format!("no recipient in {}", file.display()));
    read(file).map_err(|error| describe().because(error).help("check the path of the file, and who may read it"))
}
