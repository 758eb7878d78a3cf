//! Asks systemd to restart and reload units.

use crate::error::{Error, Result};
use crate::identity::host::{Call, Host};
use crate::manifest::unit::UnitName;
use crate::units::Requests;
use nix::fcntl::OFlag;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How units are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// By the lists that NixOS's `switch-to-configuration` reads when the activation is over. Where their directory is
    /// missing, nobody would read them, and systemd is asked.
    Lists,
    /// By `systemctl`.
    Systemctl,
    /// By `systemctl --user`.
    SystemctlUser,
    /// Not at all: what is installed is an image.
    Nobody,
}

/// The directory of NixOS's lists.
const NIXOS: &str = "/run/nixos";

/// Asks for these units. What fails is told and undoes nothing.
pub fn request(channel: Channel, requests: &Requests, host: &dyn Host) -> Vec<Error> {
    let has_lists = || Path::new(NIXOS).is_dir();
    match channel {
        Channel::Nobody => Vec::new(),
        Channel::Lists if has_lists() => by_lists("activation", requests),
        Channel::Lists | Channel::Systemctl => by_systemctl(&[], requests, host),
        Channel::SystemctlUser => by_systemctl(&["--user"], requests, host),
    }
}

/// Lists the units that would be asked for, where NixOS shows what a switch would do.
pub fn announce(channel: Channel, requests: &Requests) -> Vec<Error> {
    match channel == Channel::Lists && Path::new(NIXOS).is_dir() {
        true => by_lists("dry-activation", requests),
        false => Vec::new(),
    }
}

fn by_lists(kind: &str, requests: &Requests) -> Vec<Error> {
    let lists = [("restart", &requests.restart), ("reload", &requests.reload)];
    let append = |(verb, units): (&str, &BTreeSet<UnitName>)| {
        let path = PathBuf::from(format!("{NIXOS}/{kind}-{verb}-list"));
        append(&path, units).err().map(|error| {
            Error::new(format!("cannot add to {}", path.display()))
                .because(error)
                .help(format!("{verb} these units by hand: {}", joined(units)))
        })
    };
    lists.into_iter().filter(|(_, units)| !units.is_empty()).filter_map(append).collect()
}

fn append(path: &Path, units: &BTreeSet<UnitName>) -> io::Result<()> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut file = File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let lines: String = units.iter().map(|unit| format!("{unit}\n")).collect();
    file.write_all(lines.as_bytes())
}

fn by_systemctl(options: &[&str], requests: &Requests, host: &dyn Host) -> Vec<Error> {
    let calls = [("try-restart", &requests.restart), ("try-reload-or-restart", &requests.reload)];
    let run = |(verb, units)| systemctl(options, verb, units, host).err();
    calls.into_iter().filter(|(_, units)| !units.is_empty()).filter_map(run).collect()
}

/// It does not wait: the program may itself be part of what systemd is starting.
fn systemctl(options: &[&str], verb: &str, units: &BTreeSet<UnitName>, host: &dyn Host) -> Result<()> {
    let words = options.iter().copied().chain(["--no-block", "--no-ask-password", verb, "--"]);
    let arguments = words.map(OsString::from).chain(units.iter().map(|unit| unit.as_str().into())).collect();
    let by_hand = [&["systemctl"], options, &[verb]].concat().join(" ");
    let fail = |why: String| {
        Error::new(format!("`{by_hand}` failed")).because_text(why).help(format!("run `{by_hand} {}`", joined(units)))
    };
    let call = Call { program: "systemctl".into(), arguments, variables: Vec::new(), input: &[] };
    let finished = host.run(&call).map_err(|error| fail(error.to_string()))?;
    match finished.succeeded {
        true => Ok(()),
        false => Err(fail(finished.complaint)),
    }
}

fn joined(units: &BTreeSet<UnitName>) -> String {
    units.iter().map(UnitName::as_str).collect::<Vec<_>>().join(" ")
}
