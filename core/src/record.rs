//! What is written down of an installation: in each generation what it holds, and beside all what stands outside.
//!
//! Neither holds a secret, nor anything made of one in clear.

use crate::generation::short_hash;
use crate::manifest::path::AbsolutePath;
use crate::manifest::{KeyRequest, Units};
use crate::plan::{FileAccess, Ids, Outside, Source, Target};
use crate::secret::SecretBytes;
use crate::units::Requests;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a generation holds. It lies in the generation, as [`RECORD`](crate::generation::RECORD).
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record<'a> {
    /// When it was written, in seconds since 1970.
    pub installed: i64,
    /// The manifest.
    pub manifest: PathBuf,
    /// The link that made it live. Generations of several manifests may lie side by side.
    pub symlink_path: AbsolutePath,
    /// The files, by their place in the generation.
    pub files: BTreeMap<Cow<'a, str>, File<'a>>,
    /// The files that failed and are not there, since there was nothing to keep.
    pub absent: BTreeSet<String>,
    /// The links that lie among them, with their texts.
    pub links: BTreeMap<String, PathBuf>,
    /// The units that are still to be told. A run that was cut off before it told them leaves that to the next one.
    pub pending: Requests,
    /// What the files were made of; `None` where that is not written down, or where one of them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Record<'_> {
    /// The text that is written down.
    ///
    /// # Errors
    /// A path is not UTF-8.
    pub fn text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        // Room that was never used would be touched for the first time when it is zeroed and given back. Some is left for the end.
        text.shrink_to(text.len() + END);
        Ok(text)
    }
}

/// What a [`Record`] says of the generation as a whole. There may be ten thousand files in it, which most do not want to know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// When it was written, in seconds since 1970.
    pub installed: i64,
    /// The link that made it live.
    pub symlink_path: AbsolutePath,
    /// The units that are still to be told.
    pub pending: Requests,
    /// What the files were made of.
    pub origin: Option<Origin>,
}

/// What the files of a generation were made of, and when they were written. That is enough to tell that they are still what
/// they are to be, without decrypting anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// A hash of all that decides what they hold: the program, the manifest, the sops files as they are encrypted, the files
    /// of templates.
    pub inputs: String,
    /// No file was changed before this time, in nanoseconds since 1970, nor after the next one. Neither is taken from what
    /// somebody can change later, as the time of a file.
    pub since: i64,
    /// It stands at the end of a record's text, see [`end_text`].
    pub until: i64,
}

/// What [`Record::text`] ends with where the time is not known yet.
const OPEN_END: &str = "\"until\":0}}\n";

/// How many bytes longer the text may become then.
const END: usize = 24;

/// Puts the time when all files were there at the end of a record's text, which may have been made while they were written.
/// Text of a record without an [`Origin`], or with its time, stays as it is.
pub fn end_text(text: &mut SecretBytes, until: i64) {
    if let Some(length) = text.expose().strip_suffix(OPEN_END.as_bytes()).map(<[u8]>::len) {
        text.truncate(length);
        text.push_text(&format!("\"until\":{until}}}}}\n"));
    }
}

/// One file of a generation. Of what is planned the entry is made when it is written: there may be ten thousand of them.
#[derive(Clone)]
pub enum File<'a> {
    /// A target that is installed with this access.
    Planned(&'a Target<'a>, FileAccess),
    /// What was written down.
    Written(Box<Entry<'a>>),
}

impl<'a> File<'a> {
    /// What a record says of it.
    pub fn entry(&self) -> Entry<'a> {
        match self {
            Self::Planned(target, access) => Entry::of(target, *access),
            Self::Written(entry) => Entry::clone(entry),
        }
    }

    /// What stands for it outside of the generation.
    pub fn outside(&self) -> Option<&Outside> {
        match self {
            Self::Planned(target, _) => target.outside.as_deref(),
            Self::Written(entry) => entry.outside.as_deref(),
        }
    }

    /// The units that want to be told of a change.
    pub fn units(&self) -> &Units {
        match self {
            Self::Planned(target, _) => target.source.units(),
            Self::Written(entry) => &entry.units,
        }
    }

    /// Whether it failed, and is what an earlier generation held.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Written(entry) if entry.kept)
    }
}

impl Serialize for File<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Planned(target, access) => Entry::of(target, *access).serialize(serializer),
            Self::Written(entry) => entry.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for File<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Entry::deserialize(deserializer).map(|entry| Self::Written(Box::new(entry)))
    }
}

/// What a record says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// The sops file that it comes from; a template comes from none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sops_file: Option<Cow<'a, Path>>,
    /// Its key there; `None` is the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'a, str>>,
    /// Its owner and group; `None` leaves them to the user who ran the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Ids>,
    /// Its permission bits.
    pub mode: u32,
    /// What stands for it outside of the generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Cow<'a, Outside>>,
    /// The units that want to be told of a change.
    pub units: Cow<'a, Units>,
    /// Whether it failed, and is what an earlier generation held.
    pub kept: bool,
}

impl<'a> Entry<'a> {
    /// The entry of a target that is installed with this access.
    pub fn of(target: &'a Target<'a>, access: FileAccess) -> Self {
        let (sops_file, key) = match target.source {
            Source::Template(_) => (None, None),
            Source::Secret(secret) => {
                let key = match &secret.key {
                    KeyRequest::Whole => None,
                    KeyRequest::Key(key) | KeyRequest::KeyOrWhole(key) => Some(Cow::Borrowed(key.as_str())),
                };
                (Some(Cow::Borrowed(&*secret.sops_file)), key)
            }
        };
        Self {
            sops_file,
            key,
            ids: access.ids,
            mode: access.mode.bits(),
            outside: target.outside.as_deref().map(Cow::Borrowed),
            units: Cow::Borrowed(target.source.units()),
            kept: false,
        }
    }
}

/// What stands outside of the generations: links, and files of their own. It outlives a reboot, and so tells what is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The link to the live generation, behind which it all leads.
    pub symlink_path: AbsolutePath,
    /// What stands, by its path.
    pub placed: BTreeMap<AbsolutePath, Placed>,
}

/// What was put in a place. It is ours as long as it is still that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Placed {
    /// Nothing yet. A run was about to put something there.
    Pending,
    /// A link with this text.
    Link(PathBuf),
    /// A file: one of these. While a copy is replaced, the old one is ours as well as the new one.
    Copy(Vec<FileMark>),
}

/// What tells a file from another that took its place, or from itself after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileMark {
    /// The number of the file.
    pub inode: u64,
    /// Its size in bytes.
    pub size: i64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified: i64,
}

impl State {
    /// Nothing stands outside.
    pub fn empty(symlink_path: &AbsolutePath) -> Self {
        Self { symlink_path: symlink_path.clone(), placed: BTreeMap::new() }
    }

    /// The name of its file: one for each link to a live generation.
    pub fn file_name(symlink_path: &Path) -> String {
        format!("{}.json", short_hash(symlink_path.as_os_str().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_record_may_come_later() {
        let path = AbsolutePath::new("/run/secrets", Path::new("/")).unwrap();
        let mut record = Record {
            installed: 1,
            manifest: "/m".into(),
            symlink_path: path,
            files: BTreeMap::new(),
            absent: BTreeSet::new(),
            links: BTreeMap::new(),
            pending: Requests::default(),
            origin: Some(Origin { inputs: "ab".to_owned(), since: 5, until: 0 }),
        };
        let mut text = SecretBytes::new(record.text().unwrap());
        end_text(&mut text, 1_700_000_000_123_456_789);
        let head: Head = serde_json::from_slice(text.expose()).unwrap();
        let origin = Origin { inputs: "ab".to_owned(), since: 5, until: 1_700_000_000_123_456_789 };
        assert_eq!(head.origin.as_ref(), Some(&origin));
        record.origin = None;
        for whole in [text, SecretBytes::new(record.text().unwrap())] {
            let mut same = whole.clone();
            end_text(&mut same, 7);
            assert!(same == whole);
        }
    }

    #[test]
    fn a_record_reads_back_and_takes_no_bad_path() {
        let path = |text| AbsolutePath::new(text, Path::new("/")).unwrap();
        let mark = FileMark { inode: 7, size: 3, modified: 1_700_000_000_123_456_789 };
        let state = State {
            symlink_path: path("/run/secrets"),
            placed: BTreeMap::from([
                (path("/home/u/.npmrc"), Placed::Link("/run/secrets/npmrc".into())),
                (path("/etc/x"), Placed::Copy(vec![mark])),
            ]),
        };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
        assert!(serde_json::from_str::<State>(&text.replace("/etc/x", "/etc/../x")).is_err());
        assert_ne!(State::file_name(Path::new("/run/secrets")), State::file_name(Path::new("/run/secrets-for-users")));
    }
}
