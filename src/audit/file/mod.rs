//! One file: whether it is of sops, who can decrypt it, and what stands in it in clear.

mod kind;

pub use kind::is_worth_reading;

use super::config::CreationRule;
use super::finding::Kind;
use super::recipient::Recipient;
use super::suspect::{self, Reason};
use crate::lookalike::conflict;
use crate::sops::clear::{self, What};
use crate::sops::format::Format;
use crate::sops::metadata::{BadMetadata, MasterKey, Metadata};
use crate::sops::rules::Rule;
use crate::sops::store::SyntaxError;
use crate::sops::tree::{Map, Scalar};
use crate::sops::{EncryptedFile, NotSops, store};
use kind::CommentLines;
use std::path::Path;

/// What a file turns out to be.
pub enum Looked {
    /// A sops file.
    Sops(SopsFile),
    /// A sops file that is damaged.
    Damaged(Damage),
    /// A file without metadata of sops, with what a rule would encrypt of it.
    Plain(Plain),
    /// Something that sops has no part in: binary, empty, or encrypted by another program.
    Other,
}

/// A sops file.
pub struct SopsFile {
    /// How it is written.
    pub format: Format,
    /// The recipients of each of its key groups.
    pub groups: Vec<Vec<Recipient>>,
    /// How the recipients are written in it, beside their usual form.
    pub written: Vec<(Recipient, String)>,
    /// How many groups are needed, as written; 0 stands for all.
    pub threshold: usize,
    /// The time of the last change, RFC 3339.
    pub last_modified: String,
    /// The field that says what is encrypted, and its text; `None` where there is none.
    pub written_rule: Option<(&'static str, String)>,
    /// Whether the MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// What stands in clear and should not.
    pub in_clear: Vec<InClear>,
}

/// A value that stands in clear, without the value.
#[derive(Debug, PartialEq, Eq)]
pub struct InClear {
    /// Its key, parts joined with `/`; for a comment, the key that it stands below.
    pub key: String,
    /// Its line; 0 where it is not known.
    pub line: u32,
    /// Whether it is a comment.
    pub is_comment: bool,
    /// Why it should not stand there: the file's own rule encrypts it where this is `None`.
    pub reason: Option<Reason>,
}

/// What is wrong with a file that can only be one of sops.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which kind of damage.
    pub kind: Kind,
    /// Its line; 0 where it is not known.
    pub line: u32,
    /// What is wrong, as the end of a sentence that begins with the file.
    pub what: String,
}

/// A file that is not encrypted.
#[derive(Default)]
pub struct Plain {
    /// How many values the rule would encrypt; `None` where the file cannot be read as its name says, and so is one value.
    pub values: Option<usize>,
    /// Those among them that look secret.
    pub suspects: Vec<InClear>,
    /// Whether it is a text for people, or code: it may stand beside secrets without being one.
    pub is_prose: bool,
}

impl SopsFile {
    /// How many key groups it takes to open the file.
    pub fn needed(&self) -> usize {
        match (self.groups.len(), self.threshold) {
            (groups @ (0 | 1), _) | (groups, 0) => groups,
            (_, threshold) => threshold,
        }
    }

    /// Its recipients, in whichever group.
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.groups.iter().flatten()
    }
}

/// Looks at a file. `rule` is the creation rule that matches it.
pub fn look(path: &Path, bytes: &[u8], rule: Option<&CreationRule>) -> Looked {
    if kind::is_encrypted_otherwise(path, bytes) || bytes.trim_ascii().is_empty() {
        return Looked::Other;
    }
    let format = kind::format(path, bytes);
    if kind::may_be_sops(format, bytes)
        && let Some(looked) = as_sops(path, format, bytes)
    {
        return looked;
    }
    match rule {
        Some(rule) => Looked::Plain(as_plain(path, format, bytes, rule)),
        None => Looked::Other,
    }
}

/// The file as one of sops; `None` where it is none.
fn as_sops(path: &Path, format: Format, bytes: &[u8]) -> Option<Looked> {
    let damage = |kind, line, what: &str| Some(Looked::Damaged(Damage { kind, line, what: what.to_owned() }));
    let is_surely_sops = kind::is_surely_sops(path, format, bytes);
    if is_surely_sops && let Some(line) = conflict(bytes).and_then(|line| u32::try_from(line).ok()) {
        return damage(Kind::ConflictMarks, line, "has the marks of a merge conflict");
    }
    match EncryptedFile::read(bytes, format) {
        Ok(file) => {
            let metadata = file.metadata();
            if metadata.mac.is_empty() {
                return damage(
                    Kind::CutOff,
                    0,
                    "has metadata of sops without a MAC: its end is missing, or was removed",
                );
            }
            if let Some(key) = incomplete(metadata) {
                let what = format!("holds only a part of what is encrypted to {}", key.short());
                return damage(Kind::BadMetadata, 0, &what);
            }
            Some(Looked::Sops(of(format, bytes, &file)))
        }
        Err(NotSops::Syntax(SyntaxError { line, why, .. })) if is_surely_sops => {
            let line = line.unwrap_or_default();
            match why.contains("EOF while") {
                true => damage(Kind::CutOff, line, "ends too early"),
                false => damage(Kind::Unreadable, line, &why),
            }
        }
        Err(NotSops::Metadata(BadMetadata::Missing)) if kind::has_encrypted_value(format, bytes) => {
            let what = "holds encrypted values, but the metadata of sops is gone: it is cut off, or was edited by hand";
            damage(Kind::CutOff, 0, what)
        }
        Err(NotSops::Metadata(BadMetadata::Unusable(why))) => {
            damage(Kind::BadMetadata, 0, &format!("has metadata of sops that cannot be used: {why}"))
        }
        Err(_) => None,
    }
}

/// A recipient for whom the encrypted data key is not whole.
fn incomplete(metadata: &Metadata) -> Option<Recipient> {
    let key = metadata.key_groups.iter().flat_map(|group| &group.0).find(|key| match key {
        MasterKey::Age { enc, .. } => !enc.contains("-----END AGE ENCRYPTED FILE-----"),
        MasterKey::Pgp { enc, .. } => !enc.contains("-----END PGP MESSAGE-----"),
        MasterKey::Remote { .. } => false,
    });
    key.map(Recipient::of_key)
}

fn of(format: Format, bytes: &[u8], file: &EncryptedFile) -> SopsFile {
    let metadata = file.metadata();
    let groups = metadata.key_groups.iter().map(|group| group.0.iter().map(Recipient::of_key).collect()).collect();
    let written = metadata.key_groups.iter().flat_map(|group| &group.0);
    SopsFile {
        format,
        groups,
        written: written.map(|key| (Recipient::of_key(key), key.to_string())).collect(),
        threshold: metadata.shamir_threshold,
        last_modified: metadata.last_modified.clone(),
        written_rule: metadata.written_rule.clone(),
        mac_only_encrypted: metadata.mac_only_encrypted,
        in_clear: in_clear(format, bytes, file.documents(), &metadata.rule),
    }
}

/// What stands in clear in a sops file and should not: against its rule, or as the rule has it though it looks secret.
fn in_clear(format: Format, bytes: &[u8], documents: &[Map], rule: &Rule) -> Vec<InClear> {
    let mut notes = Notes::new(bytes);
    clear::visit(documents, rule, kind::text_for_lines(format, bytes), &mut |clear| {
        let reason = match (&clear.what, clear.is_to_be_encrypted) {
            (What::Value(_), true) => None,
            // Older versions left comments in clear, so one in clear says nothing of the rule.
            (what, _) => match reason(clear.keys, what, false) {
                Some(reason) => Some(reason),
                None => return,
            },
        };
        notes.add(clear, reason);
    });
    notes.found
}

fn as_plain(path: &Path, format: Format, bytes: &[u8], rule: &CreationRule) -> Plain {
    let is_strict = !rule.names_files();
    let mut plain = Plain { is_prose: kind::is_prose(path), ..Plain::default() };
    let Some(documents) = read(format, bytes) else {
        plain.suspects.extend(bytes.split(|byte| *byte == b'\n').zip(1..).filter_map(|(line, number)| {
            let line = std::str::from_utf8(line).ok()?;
            // Lines of text that nobody calls a secret hold names of secrets all the time.
            let by_shape_only = is_strict || plain.is_prose;
            let reason = if by_shape_only { suspect::shape_in(line) } else { suspect::comment(line) }?;
            Some(InClear { key: String::new(), line: number, is_comment: true, reason: Some(reason) })
        }));
        return plain;
    };
    let mut values = 0;
    let mut notes = Notes::new(bytes);
    clear::visit(&documents, &rule.encryption.rule, kind::text_for_lines(format, bytes), &mut |clear| {
        if !clear.is_to_be_encrypted {
            return;
        }
        values += usize::from(matches!(clear.what, What::Value(_)));
        if let Some(reason) = reason(clear.keys, &clear.what, is_strict) {
            notes.add(clear, Some(reason));
        }
    });
    plain.values = Some(values);
    plain.suspects = notes.found;
    plain
}

/// The documents of a plain file; `None` where it is one value to sops, or not written as its name says.
fn read(format: Format, bytes: &[u8]) -> Option<Vec<Map>> {
    match format {
        Format::Yaml => store::yaml::read(bytes).ok(),
        Format::Json => store::json::read(bytes).ok().map(|map| vec![map]),
        Format::Ini => store::ini::read(bytes).ok().map(|map| vec![map]),
        Format::Dotenv => store::dotenv::read(bytes).ok().map(|map| vec![map]),
        Format::Binary | Format::Age => None,
    }
}

fn reason(keys: &[&str], what: &What<'_>, is_strict: bool) -> Option<Reason> {
    match what {
        What::Value(Scalar::Str(text)) => suspect::value(keys, text.expose_text()?, is_strict),
        What::Value(Scalar::Int(_) | Scalar::Float(_)) => suspect::number(keys),
        What::Value(_) => None,
        What::Comment(comment) => suspect::comment(comment.text.expose_text()?),
    }
}

/// Notes what stands in clear, with its line. The lines of comments are collected when the first is asked for.
struct Notes<'b> {
    bytes: &'b [u8],
    comments: Option<CommentLines<'b>>,
    found: Vec<InClear>,
}

impl<'b> Notes<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, comments: None, found: Vec::new() }
    }

    fn add(&mut self, clear: &clear::Clear<'_>, reason: Option<Reason>) {
        let (is_comment, line) = match &clear.what {
            What::Value(_) => (false, clear.line),
            What::Comment(comment) => {
                let comments = self.comments.get_or_insert_with(|| CommentLines::of(self.bytes));
                (true, comments.line_of(comment.text.expose()))
            }
        };
        self.found.push(InClear { key: clear.keys.join("/"), line, is_comment, reason });
    }
}

#[cfg(test)]
mod tests;
