//! The command line of sops-nix's `sops-install-secrets`, which its modules write.

use super::install::Order;
use super::setting::{self, Caller};
use super::{Exit, Process, report};
use crate::check::{self, Finding, HostKeys, Subject};
use crate::error::{Error, Result, nearest};
use crate::plan::{self, Owners};
use crate::system::read::read;
use anyhow::Context;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const USAGE: &str = "Usage: sops-install-secrets [-check-mode=manifest|sopsfile|off] [-ignore-passwd] MANIFEST

  -check-mode      validates without installing: the manifest alone, or the sops files too; needs no key
  -ignore-passwd   looks up no user or group; everything belongs to root, or to the user who runs it in user mode

It takes what sops-nix's program of this name takes. `sops-install --help` has more.
";

/// What is checked instead of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckMode {
    /// The manifest is read.
    Manifest,
    /// So are the sops files, as far as that takes no key.
    SopsFile,
    /// Nothing is checked: it is installed.
    Off,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// How it is called.
    Help,
    /// A manifest.
    Run {
        /// What is done with it.
        check_mode: CheckMode,
        /// Whether no account is looked up.
        ignore_passwd: bool,
        /// Its path.
        manifest: PathBuf,
    },
}

/// Carries out a command line.
///
/// # Errors
/// Only where the streams cannot be written to.
pub fn run(arguments: Vec<OsString>, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let (check_mode, ignore_passwd, manifest) = match parse(arguments) {
        Ok(Arguments::Run { check_mode, ignore_passwd, manifest }) => (check_mode, ignore_passwd, manifest),
        Ok(Arguments::Help) => {
            process.output.write_all(USAGE.as_bytes()).context("cannot write to standard output")?;
            return Ok(Exit::Done);
        }
        Err(error) => {
            report(process, &[error])?;
            process.errors.write_all(USAGE.as_bytes()).context("cannot write to standard error")?;
            return Ok(Exit::Failed);
        }
    };
    if check_mode == CheckMode::Off {
        let order = Order {
            manifest: &manifest,
            root: Path::new("/"),
            caller: Caller::SopsNix,
            looks_up_accounts: !ignore_passwd,
            verbose: false,
        };
        return order.carry_out(process);
    }
    match checked(check_mode, &manifest) {
        Ok(()) => Ok(Exit::Done),
        Err(failed) => {
            report(process, &failed)?;
            Ok(Exit::Failed)
        }
    }
}

fn checked(check_mode: CheckMode, manifest: &Path) -> std::result::Result<(), Vec<Finding>> {
    // A build has no runtime directory, and where it will be makes no difference.
    let runtime_directory = setting::runtime_directory().unwrap_or_else(|| "/run/user/0".into());
    let findings = |errors: Vec<Error>| -> Vec<Finding> { errors.into_iter().map(Arc::new).collect() };
    let manifest = setting::load(manifest, Some(runtime_directory)).map_err(findings)?;
    let plan = plan::plan(&manifest, &Owners::AllRoot).map_err(findings)?;
    let mut found = check::templates(&manifest, &plan, &read);
    if check_mode == CheckMode::SopsFile {
        let mut keys = HostKeys::default();
        found.extend(findings(keys.add_all(&manifest.host_recipients)));
        let subject = Subject { manifest: &manifest, plan: &plan, keys: &keys };
        found.extend(check::sops_files(&[subject], &read).into_iter().flatten());
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// Reads flags as Go's `flag` does: with one dash or two, a value behind `=` or as the next word, and none behind the first
/// word that is no flag.
///
/// # Errors
/// A flag that is not known or has another value, and not exactly one manifest.
pub fn parse(arguments: Vec<OsString>) -> Result<Arguments> {
    let (mut check_mode, mut ignore_passwd) = (CheckMode::Off, false);
    let mut words = arguments.into_iter();
    let mut rest = Vec::new();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        let Some(flag) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).filter(|_| text != "-") else {
            rest.push(word);
            break;
        };
        if flag.is_empty() {
            break;
        }
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
        match name {
            "check-mode" => {
                let next = || words.next().and_then(|word| word.into_string().ok());
                let value = value.or_else(next).unwrap_or_default();
                check_mode = match value.as_str() {
                    "manifest" => CheckMode::Manifest,
                    "sopsfile" => CheckMode::SopsFile,
                    "off" => CheckMode::Off,
                    value => {
                        return Err(Error::new(format!("-check-mode cannot be `{value}`"))
                            .help("it can be manifest, sopsfile, off"));
                    }
                };
            }
            "ignore-passwd" => {
                // `strconv.ParseBool`.
                ignore_passwd = match value.as_deref() {
                    None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
                    Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
                    Some(value) => {
                        return Err(
                            Error::new(format!("-ignore-passwd cannot be `{value}`")).help("it can be true or false")
                        );
                    }
                };
            }
            "h" | "help" => return Ok(Arguments::Help),
            unknown => {
                let error = Error::new(format!("there is no flag -{unknown}"));
                return Err(match nearest(unknown, ["check-mode", "ignore-passwd"]) {
                    Some(meant) => error.help(format!("did you mean -{meant}?")),
                    None => error.help("there are -check-mode and -ignore-passwd"),
                });
            }
        }
    }
    rest.extend(words);
    match <[OsString; 1]>::try_from(rest) {
        Ok([manifest]) => Ok(Arguments::Run { check_mode, ignore_passwd, manifest: manifest.into() }),
        Err(rest) => Err(Error::new(format!("it takes one manifest, and got {}", rest.len()))
            .help("give the path of the manifest, after the flags")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Option<(CheckMode, bool, String)> {
        match parse(words.iter().map(OsString::from).collect()) {
            Ok(Arguments::Run { check_mode, ignore_passwd, manifest }) => {
                Some((check_mode, ignore_passwd, manifest.display().to_string()))
            }
            _ => None,
        }
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let off = |ignore| Some((CheckMode::Off, ignore, "m".to_owned()));
        assert_eq!(parsed(&["m"]), off(false));
        assert_eq!(parsed(&["-ignore-passwd", "m"]), off(true));
        assert_eq!(parsed(&["--ignore-passwd=false", "m"]), off(false));
        let sopsfile = Some((CheckMode::SopsFile, false, "m".to_owned()));
        assert_eq!(parsed(&["-check-mode=sopsfile", "m"]), sopsfile);
        assert_eq!(parsed(&["--check-mode", "sopsfile", "--", "m"]), sopsfile);
        assert_eq!(parsed(&["-check-mode", "off", "-"]).map(|found| found.2), Some("-".into()));
        for wrong in [&[][..], &["m", "-ignore-passwd"], &["a", "b"], &["-check-mode=x", "m"], &["-nope", "m"]] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse(vec!["-h".into()]).ok(), Some(Arguments::Help));
    }
}
