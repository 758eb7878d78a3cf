//! Who owns what: owners and groups of a manifest, by the accounts of a host.

use super::{FileAccess, Ids};
use crate::error::{Error, Result, nearest};
use crate::manifest::{Access, Group, Owner, Storage};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

/// The accounts of a host. An error is one of the look-up itself; an account that does not exist is `None`.
pub trait Accounts {
    /// The user called `name`, with the user's own group.
    fn user(&self, name: &str) -> io::Result<Option<Ids>>;
    /// The group called `name`.
    fn group(&self, name: &str) -> io::Result<Option<u32>>;
    /// The group called `name`, if the host itself has it and no service of a network.
    fn local_group(&self, name: &str) -> io::Result<Option<u32>> {
        self.group(name)
    }
    /// Names of users or groups that exist, for suggestions.
    fn known(&self) -> Vec<String>;
}

/// How owners are found.
pub enum Owners<'a> {
    /// By asking the host.
    Accounts(&'a dyn Accounts),
    /// Not at all: everything is root's.
    AllRoot,
    /// Not at all: everything is left to the user who runs the program.
    Caller,
}

/// Owners and groups that were found, so that thousands of secrets of one owner take one look-up.
pub(super) type Known<'a> = HashMap<(&'a Owner, &'a Group), Ids>;

pub(super) fn access<'a>(access: &'a Access, owners: &Owners<'_>, known: &mut Known<'a>) -> Result<FileAccess> {
    let ids = match owners {
        Owners::Accounts(accounts) => Some(match known.entry((&access.owner, &access.group)) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(place) => *place.insert(ids(access, *accounts)?),
        }),
        Owners::AllRoot => Some(Ids { uid: 0, gid: 0 }),
        Owners::Caller => None,
    };
    Ok(FileAccess { ids, mode: access.mode })
}

fn ids(access: &Access, accounts: &dyn Accounts) -> Result<Ids> {
    let (uid, own_group) = match &access.owner {
        Owner::Id(uid) => (*uid, None),
        Owner::Name(name) => {
            let user = accounts.user(name).map_err(|why| lookup_failed("user", name, why))?;
            let user = user.ok_or_else(|| unknown("user", name, accounts))?;
            (user.uid, Some(user.gid))
        }
    };
    let gid = match &access.group {
        Group::Id(gid) => *gid,
        Group::OfOwner => own_group.unwrap_or(0),
        Group::Name(name) => accounts
            .group(name)
            .map_err(|why| lookup_failed("group", name, why))?
            .ok_or_else(|| unknown("group", name, accounts))?,
    };
    // The kernel takes the highest number for "leave it as it is".
    match uid == u32::MAX || gid == u32::MAX {
        true => Err(Error::new(format!("its owner or group has the number {}, which is nobody's", u32::MAX))
            .help("correct the list of accounts, or name another owner or group")),
        false => Ok(Ids { uid, gid }),
    }
}

fn unknown(kind: &str, name: &str, accounts: &dyn Accounts) -> Error {
    let error = Error::new(format!("the {kind} `{name}` does not exist on this host"));
    let known = accounts.known();
    // A group may have the name that a user is wanted with.
    match nearest(name, known.iter().map(String::as_str).filter(|known| *known != name)) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help(format!("create the {kind}, or correct `{}`", if kind == "user" { "owner" } else { kind })),
    }
}

fn lookup_failed(kind: &str, name: &str, why: io::Error) -> Error {
    Error::new(format!("cannot look up the {kind} `{name}`"))
        .because(why)
        .help("check the name services that nsswitch.conf lists")
}

/// Directories belong to root and to the group `keys`, as sops-nix has it. Where the host has no such group they belong to
/// root's: that lets fewer in, never more. A group of that name in a directory service is not what is meant, and such a
/// service may not answer yet while the machine starts.
pub(super) fn directories(storage: Storage, owners: &Owners<'_>) -> Result<Option<Ids>> {
    match (storage, owners) {
        (Storage::UserDirectory, _) | (_, Owners::Caller) => Ok(None),
        (_, Owners::AllRoot) => Ok(Some(Ids { uid: 0, gid: 0 })),
        (_, Owners::Accounts(accounts)) => {
            let keys = accounts.local_group("keys").map_err(|why| lookup_failed("group", "keys", why))?;
            Ok(Some(Ids { uid: 0, gid: keys.unwrap_or(0) }))
        }
    }
}
