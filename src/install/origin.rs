//! What the files of a generation are made of, as one hash.

use super::staging::MANY;
use crate::manifest::TemplateText;
use crate::plan::{FileAccess, Plan, Source};
use crate::secret::SecretBytes;
use crate::sops::format::Format;
use crate::system::read::{open_large, read};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The largest file whose hash is taken. To decrypt a larger one takes about as long as to hash it.
const MOST_HASHED: usize = 16 << 20;

/// The permission bits to write. Who may write to a file can map it into memory, and a change that is made there need not
/// change the time of the file.
pub(super) const WRITABLE: u32 = 0o222;

/// The files that are read for a generation, each with its hash.
pub(super) struct Sources {
    /// What the caller gave. `None` where nothing is hashed.
    given: Option<Hash>,
    /// `None` for a file that is too large, or was another one each time that it was read.
    read: Mutex<BTreeMap<PathBuf, Option<Hash>>>,
}

impl Sources {
    /// Gets ready to hash what is read, where that is worth it: in a large generation of files that nobody may write to, and
    /// of which none has failed yet.
    pub(super) fn of(plan: &Plan<'_>, given: Option<Hash>) -> Self {
        let is_fixed = |access: FileAccess| access.mode.bits() & WRITABLE == 0;
        let is_worth_it = plan.targets.len() >= MANY
            && plan.failures.is_empty()
            // A plain age file has no data key by which it could be told whether it still opens.
            && plan.files.iter().all(|file| file.format != Format::Age)
            && plan.targets.iter().all(|target| target.access.is_some_and(is_fixed));
        Self { given: given.filter(|_| is_worth_it), read: Mutex::default() }
    }

    /// Whether hashes are taken.
    pub(super) fn are_hashed(&self) -> bool {
        self.given.is_some()
    }

    /// Reads a file, and takes its hash.
    pub(super) fn read(&self, path: &Path) -> io::Result<SecretBytes> {
        let bytes = read(path)?;
        if self.are_hashed() {
            let hash = (bytes.len() <= MOST_HASHED).then(|| Sha256::digest(bytes.expose()).into());
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            let noted = read.entry(path.to_owned()).or_insert(hash);
            if *noted != hash {
                *noted = None;
            }
        }
        Ok(bytes)
    }

    /// Opens a file that is better not read whole, unless its hash is to be taken.
    pub(super) fn open_large(&self, path: &Path) -> Option<File> {
        open_large(path).filter(|_| !self.are_hashed())
    }

    /// Reads all that a plan needs. Gives what [`inputs`](Self::inputs) does.
    pub(super) fn read_all(&self, plan: &Plan<'_>) -> Option<String> {
        self.given?;
        let sops_files = plan.files.iter().map(|file| file.path);
        let texts = plan.targets.iter().filter_map(|target| match target.source {
            Source::Template(template) => match &template.text {
                TemplateText::File(path) => Some(path.as_path()),
                TemplateText::Inline(_) => None,
            },
            Source::Secret(_) => None,
        });
        let paths: Vec<&Path> = sops_files.chain(texts).collect();
        // What comes through a pipe can be read once.
        let can_be_read_twice = |path: &&Path| {
            let is_file = |found: &Metadata| found.is_file() && found.len() <= MOST_HASHED as u64;
            std::fs::metadata(path).as_ref().is_ok_and(is_file)
        };
        let are_read = paths.iter().all(can_be_read_twice) && paths.iter().all(|path| self.read(path).is_ok());
        are_read.then(|| self.inputs())?
    }

    /// One hash of all that was read and of what the caller gave; `None` where one of them is not known.
    pub(super) fn inputs(&self) -> Option<String> {
        let mut all = Sha256::new_with_prefix(self.given?);
        // In the order of the paths; which these are, the manifest says.
        for hash in self.read.lock().unwrap_or_else(PoisonError::into_inner).values() {
            all.update((*hash)?);
        }
        Some(all.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}
