//! `sops-install cat`: one value, or the whole file.

use super::{Exit, Process, machine, report, usual_places, variables};
use crate::error::Error;
use crate::identity::Identities;
use crate::manifest::KeySources;
use crate::open::{self, Means};
use crate::sops::convert::Output;
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use crate::system::read::read;
use anyhow::Context;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Cat {
    /// The sops file.
    file: PathBuf,
    /// The key of the value, such as `github/oauth_token`; without one, the whole file is printed.
    key: Option<String>,
    /// The format of the file; without it, the ending tells.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    format: Option<String>,
    /// The form to print; without it, the file's own.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Output::ALL.map(Output::name)))]
    output: Option<String>,
}

pub(super) fn run(arguments: &Cat, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let request = open::Request {
        path: &arguments.file,
        format: arguments
            .format
            .as_deref()
            .and_then(Format::from_name)
            .unwrap_or_else(|| Format::of_path(&arguments.file)),
        key: arguments.key.as_deref().filter(|key| !key.is_empty()).map(KeyPath::new),
        output: arguments.output.as_deref().and_then(Output::from_name),
    };
    let sources = KeySources { usual_places: usual_places(), ..KeySources::default() };
    let identities = Identities::load(&sources, &variables(process), &machine(process.voice));
    let bytes = match open::one(
        &request,
        &Means { keyring: &identities, identities: &identities, read: &read, open_large: &|_| None },
    ) {
        Ok(bytes) => bytes,
        Err(error) => {
            report(process, &[error])?;
            return Ok(Exit::Failed);
        }
    };
    let is_text =
        bytes.expose_text().is_some_and(|text| !text.chars().any(|c| c.is_control() && !"\t\r\n".contains(c)));
    if process.output_is_terminal && !is_text {
        let error = Error::new("the value is binary, and would garble the terminal").help("redirect it: `… > FILE`");
        report(process, &[error])?;
        return Ok(Exit::Failed);
    }
    process.output.write_all(bytes.expose()).context("cannot write to standard output")?;
    process.output.flush().context("cannot write to standard output")?;
    Ok(Exit::Done)
}
