//! Prints INI text as gopkg.in/ini.v1 does: `=` aligned within a section, an empty line between sections.

use super::space::trim;
use super::{Key, Section};
use crate::secret::SecretBytes;
use crate::sops::store::PrintError;
use std::borrow::Cow;

/// How many spaces may be spent on alignment. One key of a megabyte among thousands of short ones would otherwise fill
/// the memory: each of them is padded to its length.
const MOST_PADDING: usize = 4 << 20;

/// The text of the sections, or the name of the section or key that cannot be printed.
pub(super) fn write(sections: impl Iterator<Item = Result<Section, PrintError>>) -> Result<SecretBytes, PrintError> {
    let mut out = SecretBytes::default();
    let mut padding = 0;
    let mut is_parted = true;
    for (index, section) in sections.enumerate() {
        let section = &section?;
        if !is_parted {
            out.push_text("\n");
        }
        is_parted = false;
        push_comment(&mut out, &section.comment, false).map_err(|why| error(section, None, why))?;
        // The first section needs no header if it is the default one, in any case.
        if index > 0 || !section.name.eq_ignore_ascii_case("DEFAULT") {
            push_all(&mut out, &[b"[", section.name.as_bytes(), b"]\n"]);
        } else if section.keys.is_empty() {
            // Nothing stands in front of the next one.
            is_parted = true;
            continue;
        }
        let names = || section.keys.iter().map(|key| quoted_name(&key.name));
        let width = names().map(|name| name.len()).max().unwrap_or(0);
        padding += names().map(|name| width - name.len()).sum::<usize>();
        if padding > MOST_PADDING {
            return Err(error(section, None, "has a key too long to align the others with it"));
        }
        for (key, name) in section.keys.iter().zip(names()) {
            push_comment(&mut out, &key.comment, true).map_err(|why| error(section, Some(key), why))?;
            push_all(&mut out, &[name.as_bytes(), " ".repeat(width - name.len()).as_bytes(), b" = "]);
            let quote = quote_of(key.value.expose());
            push_all(&mut out, &[quote, key.value.expose(), quote, b"\n"]);
        }
    }
    Ok(out)
}

/// A name that reads back as itself.
fn quoted_name(name: &str) -> Cow<'_, str> {
    if name.contains(['"', '=', ':']) {
        Cow::Owned(format!("`{name}`"))
    } else if name.contains('`') {
        Cow::Owned(format!("\"\"\"{name}\"\"\""))
    } else {
        Cow::Borrowed(name)
    }
}

/// The quotes that ini.v1 puts around a value. They do not hold every value, but sops prints them so.
fn quote_of(value: &[u8]) -> &'static [u8] {
    if value.iter().any(|byte| matches!(byte, b'\n' | b'`')) {
        b"\"\"\""
    } else if value.iter().any(|byte| matches!(byte, b'#' | b';')) {
        b"`"
    } else if trim(value).len() != value.len() {
        b"\""
    } else {
        b""
    }
}

/// The comment with a mark and a space before each line. A line keeps its own mark.
fn push_comment(out: &mut SecretBytes, comment: &SecretBytes, of_key: bool) -> Result<(), &'static str> {
    if comment.is_empty() {
        return Ok(());
    }
    for line in comment.expose().split(|byte| *byte == b'\n') {
        match line.split_first() {
            None => return Err("has a comment with an empty line, at which sops crashes"),
            Some((mark @ (b'#' | b';'), text)) => push_all(out, &[&[*mark], b" ", trim(text)]),
            // Only the comments of keys are trimmed.
            Some(_) => push_all(out, &[b"; ", if of_key { trim(line) } else { line }]),
        }
        out.push_text("\n");
    }
    Ok(())
}

fn push_all(out: &mut SecretBytes, parts: &[&[u8]]) {
    for part in parts {
        out.push(part);
    }
}

fn error(section: &Section, key: Option<&Key>, why: &str) -> PrintError {
    let key = key.map_or(section.name.clone(), |key| format!("{}/{}", section.name, key.name));
    PrintError { key, why: why.to_owned() }
}
