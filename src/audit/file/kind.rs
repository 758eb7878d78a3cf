//! What kind of file bytes are, told without reading them as one.

use crate::sops::format::Format;
use memchr::memmem;
use std::collections::HashMap;
use std::path::Path;

/// What every encrypted value of sops begins with.
const VALUE: &[u8] = b"ENC[AES256_GCM,data:";

/// Larger files are read only if their beginning or their end is that of a sops file.
const LARGE: u64 = 1 << 20;

/// Whether a file is worth reading whole, from its beginning and its end. `is_named` says that a creation rule matches it.
pub fn is_worth_reading(size: u64, head: &[u8], tail: &[u8], is_named: bool) -> bool {
    const LOOKED_AT: usize = 8 * 1024;
    let is_binary = head.get(..LOOKED_AT.min(head.len())).is_some_and(|head| memchr::memchr(0, head).is_some());
    !is_binary && (is_named && size <= LARGE || has_marks_of_sops(head) || has_marks_of_sops(tail))
}

/// Whether bytes hold what only sops writes.
pub(super) fn has_marks_of_sops(bytes: &[u8]) -> bool {
    let has = |mark: &[u8]| memmem::find(bytes, mark).is_some();
    let metadata = [&b"\nsops:"[..], b"\"sops\"", b"[sops]", b"\nsops_"];
    has(VALUE) || has(b"lastmodified") && metadata.iter().any(|mark| has(mark))
}

/// The format of a file: as its name says, or where that says nothing, as sops would have written its metadata. Files
/// may have been given another name, or encrypted with `--output-type`.
pub(super) fn format(path: &Path, bytes: &[u8]) -> Format {
    let by_name = Format::of_path(path);
    if by_name != Format::Binary || !has_marks_of_sops(bytes) {
        return by_name;
    }
    let has_line = |start: &[u8]| bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(start));
    match () {
        () if bytes.trim_ascii_start().starts_with(b"{") => Format::Binary,
        () if has_line(b"sops:") => Format::Yaml,
        () if has_line(b"[sops]") => Format::Ini,
        () if has_line(b"sops_mac=") => Format::Dotenv,
        () => Format::Binary,
    }
}

/// Whether it is worth reading as one of sops.
pub(super) fn may_be_sops(format: Format, bytes: &[u8]) -> bool {
    format != Format::Age && has_marks_of_sops(bytes)
}

/// Whether a file that cannot be read was one of sops: it has a sops format's name or shape, and metadata or an encrypted
/// value stands where sops puts it. A page about sops also holds such text, but not so.
pub(super) fn is_surely_sops(path: &Path, format: Format, bytes: &[u8]) -> bool {
    let is_known = Format::of_path(path) != Format::Binary || bytes.trim_ascii_start().starts_with(b"{");
    let mark: &[u8] = match format {
        Format::Yaml => b"\nsops:",
        Format::Json | Format::Binary => b"\"sops\"",
        Format::Ini => b"[sops]",
        Format::Dotenv => b"\nsops_",
        Format::Age => return false,
    };
    is_known && (memmem::find(bytes, mark).is_some() || has_encrypted_value(format, bytes))
}

/// Whether an encrypted value stands in the place of a value.
pub(super) fn has_encrypted_value(format: Format, bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, VALUE).any(|at| {
        let before = bytes.get(..at).unwrap_or_default();
        match format {
            Format::Yaml => {
                let before = before.trim_ascii_end();
                let before =
                    before.strip_suffix(b"\"").or(before.strip_suffix(b"'")).unwrap_or(before).trim_ascii_end();
                before.ends_with(b":") || before.ends_with(b"-")
            }
            Format::Json | Format::Binary => before.ends_with(b"\""),
            Format::Ini | Format::Dotenv => before.trim_ascii_end().ends_with(b"="),
            Format::Age => false,
        }
    })
}

/// Whether another program encrypted the file.
pub(super) fn is_encrypted_otherwise(path: &Path, bytes: &[u8]) -> bool {
    let starts = [
        &b"age-encryption.org/"[..],
        b"-----BEGIN AGE ENCRYPTED FILE-----",
        b"-----BEGIN PGP MESSAGE-----",
        b"$ANSIBLE_VAULT;",
    ];
    Format::of_path(path) == Format::Age || starts.iter().any(|start| bytes.starts_with(start))
}

/// Whether a file is a text for people, code or a public key. Such files stand beside secrets.
pub(super) fn is_prose(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let endings: [&[u8]; 9] =
        [b".md", b".nix", b".pub", b".sh", b".rst", b".gitignore", b".gitattributes", b".gitkeep", b".org"];
    endings.iter().any(|ending| name.ends_with(ending)) || matches!(name, b"README" | b"LICENSE" | b"Makefile")
}

/// The text in which lines are looked up, for formats whose store knows none.
pub(super) fn text_for_lines(format: Format, bytes: &[u8]) -> Option<&[u8]> {
    matches!(format, Format::Json | Format::Binary).then_some(bytes)
}

/// The lines of the comments of a file, by their texts. The trees of sops files do not know them.
pub(super) struct CommentLines<'b>(HashMap<&'b [u8], u32>);

impl<'b> CommentLines<'b> {
    /// Collects what follows the first `#` or `;` of each line. Of several comments alike the first one counts.
    pub(super) fn of(bytes: &'b [u8]) -> Self {
        let mut lines = HashMap::new();
        for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
            let is_mark = |at: &usize| *at == 0 || line.get(at - 1).is_some_and(u8::is_ascii_whitespace);
            if let Some(mark) = memchr::memchr2_iter(b'#', b';', line).find(is_mark) {
                lines.entry(line.get(mark + 1..).unwrap_or_default().trim_ascii()).or_insert(number);
            }
        }
        Self(lines)
    }

    /// The line of a comment; 0 where it is not found.
    pub(super) fn line_of(&self, comment: &[u8]) -> u32 {
        self.0.get(comment.trim_ascii()).copied().unwrap_or_default()
    }
}
