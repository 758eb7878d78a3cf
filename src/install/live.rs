//! A generation that was installed, as it is found.

use super::origin::WRITABLE;
use crate::changes::Seen;
use crate::error::{Error, Result};
use crate::generation::{RECORD, is_reserved};
use crate::plan::Ids;
use crate::record::{FileMark, Head, Record};
use crate::secret::SecretBytes;
use crate::system::dir::{Dir, Standing, changed, is, written};
use crate::system::stage::DIRECTORY_MODE;
use nix::sys::stat::{FileStat, SFlag};
use serde::de::DeserializeOwned;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

/// A generation, opened to be looked at.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) dir: Dir,
    /// What it said of itself when that was first asked.
    head: OnceCell<Option<Head>>,
    record: OnceCell<Option<Record<'static>>>,
}

/// What a file of a generation is compared with.
pub(super) enum Expected<'a> {
    /// These bytes.
    Bytes(&'a SecretBytes),
    /// What it was: it was last changed between these times, in nanoseconds since 1970, and nobody may write to it.
    Unchanged { since: i64, until: i64 },
}

/// What lies in a generation, by its place there.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: BTreeMap<String, Seen>,
    /// Links, with the texts that they lead to.
    pub(super) links: BTreeMap<String, PathBuf>,
    /// Who owns the directories and their modes, the generation's own first.
    pub(super) directories: Vec<(Ids, u32)>,
    /// When the generation said last what it holds, in nanoseconds since 1970. It does that after all else.
    pub(super) recorded: Option<i64>,
}

impl Generation {
    pub(super) fn new(number: u64, dir: Dir) -> Self {
        Self { number, dir, head: OnceCell::new(), record: OnceCell::new() }
    }

    /// Opens the generation with this number in the store `dir`; `None` where there is no such directory.
    pub(super) fn open(store: &Dir, number: u64) -> Result<Option<Self>> {
        match store.open_dir(OsStr::new(&number.to_string())) {
            Ok(dir) => Ok(Some(Self::new(number, dir))),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
            Err(error) => {
                let denied = error.kind() == io::ErrorKind::PermissionDenied;
                let error = Error::new(format!("cannot look into the generation {number}")).because(error);
                Err(error.help(if denied { "run it as root" } else { "run it again" }))
            }
        }
    }

    /// Looks at all that lies in it. The files for which `wanted` gives something are compared with that.
    pub(super) fn look<'w>(&self, wanted: &dyn Fn(&str) -> Option<Expected<'w>>) -> Result<Found> {
        let mut found = Found::default();
        look_into(&self.dir, "", wanted, &mut found).map_err(|error| {
            Error::new(format!("cannot look into the generation {}", self.number)).because(error).help("run it again")
        })?;
        found.recorded = found.files.get(RECORD).map(|record| record.written);
        // The program's own files are nobody's secrets, also those of a run that was cut off.
        found.files.retain(|file, _| !is_reserved(file));
        Ok(found)
    }

    /// What it said of itself when this was first asked; `None` where it says nothing that can be read, as one that sops-nix
    /// made.
    pub(super) fn record(&self) -> Option<&Record<'static>> {
        self.record.get_or_init(|| self.said()).as_ref()
    }

    /// The same without the files.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.get_or_init(|| self.said()).as_ref()
    }

    fn said<T: DeserializeOwned>(&self) -> Option<T> {
        let text = self.dir.read_text(OsStr::new(RECORD)).ok()??;
        serde_json::from_str(&text).ok()
    }

    /// Whether this generation is what lies in the store under its number, and whether its record is still the one that had this
    /// mark.
    pub(super) fn is_in(&self, store: &Dir, record: FileMark) -> io::Result<bool> {
        let (a, b) = (self.dir.stat()?, store.open_dir(OsStr::new(&self.number.to_string()))?.stat()?);
        Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) && self.record_mark() == Some(record))
    }

    /// What tells its record from another one; `None` where there is none, or where it cannot be looked at.
    pub(super) fn record_mark(&self) -> Option<FileMark> {
        self.dir.mark_of(OsStr::new(RECORD)).ok()?
    }

    /// Whom it belongs to.
    pub(super) fn owner(&self) -> Result<Ids> {
        let stat = self.dir.stat().map_err(|error| {
            Error::new(format!("cannot look at the generation {}", self.number)).because(error).help("run it again")
        })?;
        Ok(Ids { uid: stat.st_uid, gid: stat.st_gid })
    }

    /// The bytes of one of its files.
    pub(super) fn read(&self, file: &str) -> io::Result<SecretBytes> {
        let (above, name) = self.above(file)?;
        above.as_ref().unwrap_or(&self.dir).read_file(OsStr::new(name))
    }

    /// The directory in which one of its files lies, unless it is the generation itself, and the name there.
    pub(super) fn above<'n>(&self, file: &'n str) -> io::Result<(Option<Dir>, &'n str)> {
        let Some((above, name)) = file.rsplit_once('/') else { return Ok((None, file)) };
        let mut parts = above.split('/');
        let mut dir = self.dir.open_dir(OsStr::new(parts.next().unwrap_or_default()))?;
        for part in parts {
            dir = dir.open_dir(OsStr::new(part))?;
        }
        Ok((Some(dir), name))
    }
}

/// Whether a file was last changed between these times, and nobody but root can have changed it since without changing its
/// time. The time of a change cannot be set by anyone, but for the clock.
fn is_unchanged(stat: &FileStat, since: i64, until: i64) -> bool {
    let is_fixed = stat.st_mode & WRITABLE == 0;
    is(stat, SFlag::S_IFREG) && is_fixed && (since..=until).contains(&changed(stat))
}

impl Found {
    /// Whether the links in it are these, each with its text.
    pub(super) fn has_links<'l>(&self, links: impl ExactSizeIterator<Item = (&'l str, PathBuf)>) -> bool {
        let mut links = links;
        links.len() == self.links.len() && links.all(|(name, text)| self.links.get(name) == Some(&text))
    }

    /// Whether its directories have the mode that they are to have, and this owner.
    pub(super) fn has_directories(&self, wanted: Option<Ids>) -> bool {
        let is_right = |(ids, mode): &(Ids, u32)| wanted.is_none_or(|wanted| wanted == *ids) && *mode == DIRECTORY_MODE;
        self.directories.iter().all(is_right)
    }
}

fn look_into<'w>(
    dir: &Dir,
    prefix: &str,
    wanted: &dyn Fn(&str) -> Option<Expected<'w>>,
    found: &mut Found,
) -> io::Result<()> {
    let stat = dir.stat()?;
    found.directories.push((Ids { uid: stat.st_uid, gid: stat.st_gid }, stat.st_mode & 0o7777));
    for name in dir.names()? {
        // Names that are not UTF-8 are none of ours.
        let Some(text) = name.to_str() else { continue };
        let file = format!("{prefix}{text}");
        let mut add = |file: String, stat: &FileStat, same_content| {
            let ids = Ids { uid: stat.st_uid, gid: stat.st_gid };
            let seen = Seen { same_content, ids, mode: stat.st_mode & 0o7777, written: written(stat) };
            found.files.insert(file, seen);
        };
        let wanted_here = wanted(&file);
        // Most are as they are to be, and to open them tells all that there is to know.
        if let Some(Expected::Bytes(bytes)) = wanted_here
            && let Some((stat, same)) = dir.compare(&name, bytes)?
        {
            add(file, &stat, Some(same));
            continue;
        }
        let Some(stat) = dir.stat_of(&name)? else { continue };
        match Standing::of(&stat) {
            Standing::Nothing => {}
            Standing::Link => {
                found.links.insert(file, dir.read_link(&name)?);
            }
            Standing::Directory => look_into(&dir.open_dir(&name)?, &format!("{file}/"), wanted, found)?,
            Standing::File => {
                let same_content = match wanted_here {
                    Some(Expected::Bytes(bytes)) => dir.holds(&name, &stat, bytes)?,
                    Some(Expected::Unchanged { since, until }) => Some(is_unchanged(&stat, since, until)),
                    None => None,
                };
                add(file, &stat, same_content);
            }
        }
    }
    Ok(())
}
