//! What a person is told when a sops file does not open, or does not hold what the manifest wants of it.

use crate::error::{Error, quoted};
use crate::identity::{Identities, Identity};
use crate::lookalike::{Lookalike, conflict};
use crate::plan::{Plan, SopsFile};
use crate::sops::NotSops;
use crate::sops::cipher::CipherError;
use crate::sops::convert::Output;
use crate::sops::data_key::{Broken, NoDataKey};
use crate::sops::decrypt::Refused;
use crate::sops::format::Format;
use crate::sops::key::{Finder, KeyPath, Miss, Unprintable};
use crate::sops::metadata::{BadMetadata, KeyGroup, MasterKey, Metadata};
use crate::sops::store::SyntaxError;
use crate::sops::tree::Map;
use std::path::Path;

/// Which secrets a file is needed by.
pub(crate) fn needed_by(plan: &Plan<'_>, file: &SopsFile<'_>) -> String {
    const SHOWN: usize = 5;
    let targets = file.secrets.iter().filter_map(|position| plan.targets.get(*position));
    let shown: Vec<String> = targets.take(SHOWN).map(|target| format!("`{}`", target.file)).collect();
    let more = match file.secrets.len() {
        count if count > SHOWN => format!(" and {} more", count - SHOWN),
        _ => String::new(),
    };
    format!("the file is needed by {}{more}", shown.join(", "))
}

/// A file that is none of sops, or not of the format it is read as.
pub(super) fn not_sops(error: NotSops, path: &Path, format: Format, bytes: &[u8]) -> Error {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Error::new("is empty").help("take a good copy of the file");
    }
    match error {
        NotSops::Syntax(SyntaxError { line, why, help }) => {
            let error = match line {
                Some(line) => Error::new(format!("line {line}: {why}")).at_line(line as usize),
                None => Error::new(why),
            };
            match (help, slip(bytes, format)) {
                (Some(help), _) => error.help(help),
                (None, Some((line, slip))) => line.into_iter().fold(error, Error::at_line).help(slip),
                (None, None) => {
                    error.help("mend what the line says, or take a good copy of the file").help(wrong_format(format))
                }
            }
        }
        // To encrypt it again would be the worst that one could do.
        NotSops::Metadata(BadMetadata::Missing) if holds(bytes, b"ENC[AES256_GCM,data:") => {
            Error::new("holds encrypted values, but the metadata of sops is gone: it is cut off, or was edited by hand")
                .help("take a good copy of the file")
        }
        NotSops::Metadata(BadMetadata::Missing) => {
            let error = Error::new("has no sops metadata, so it is not encrypted");
            match slip(bytes, format) {
                Some((line, slip)) => line.into_iter().fold(error, Error::at_line).help(slip),
                None => error
                    .help(format!("encrypt it with `sops encrypt --in-place {}`", quoted(path)))
                    .help(wrong_format(format)),
            }
        }
        NotSops::Metadata(BadMetadata::Unusable(why)) => Error::new("has sops metadata that cannot be used")
            .because_text(why)
            .help("take a good copy of the file; only sops itself should change what stands under `sops`")
            .help("where it is a rule that is wrong, correct it in .sops.yaml and encrypt the file anew"),
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn wrong_format(format: Format) -> String {
    match format {
        Format::Binary => {
            "the file is read as binary, which sops wraps in JSON; if it is something else, give the file the ending \
             that says so, or set `format`; if it is not encrypted yet, encrypt it"
                .to_owned()
        }
        format => format!("the file is read as {}; if it is something else, set `format`", format.name()),
    }
}

/// What may have happened to a file that cannot be read, told from its lines; and the line, where it is one.
fn slip(bytes: &[u8], format: Format) -> Option<(Option<usize>, String)> {
    match Lookalike::of(bytes) {
        Some(Lookalike::AgeFile) => {
            return Some((None, "it is an age file, without sops around it: set `format: age`".to_owned()));
        }
        // Of another format, or it could be read.
        Some(Lookalike::Sops) | None => {}
        Some(other) => return Some((None, other.advice("a sops file"))),
    }
    if let Some(line) = conflict(bytes) {
        let mark = "is the mark of a merge conflict: resolve it, then check the file with `sops decrypt`";
        return Some((Some(line), format!("line {line} {mark}")));
    }
    if let Some(other) =
        looks_like(bytes).filter(|other| *other != format && (*other, format) != (Format::Json, Format::Binary))
    {
        return Some((None, format!("it looks like a sops file of the format {0}: set `format: {0}`", other.name())));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") && format != Format::Yaml {
        return Some((None, "it begins with a byte order mark: save it as UTF-8 without one".to_owned()));
    }
    if format == Format::Dotenv && bytes.windows(2).any(|pair| pair == b"\r\n") {
        return Some((None, "it has the line endings of Windows: save it with those of Unix".to_owned()));
    }
    let lines = || bytes.split(|byte| *byte == b'\n').enumerate();
    let find = |test: fn(&[u8]) -> bool| lines().find(|(_, line)| test(line)).map(|(number, _)| number + 1);
    let is_indented_with_a_tab = |line: &[u8]| {
        let text = line.trim_ascii_start();
        let (blanks, _) = line.split_at(line.len() - text.len());
        !text.is_empty() && blanks.contains(&b'\t')
    };
    if format == Format::Yaml
        && let Some(line) = find(is_indented_with_a_tab)
    {
        return Some((Some(line), format!("line {line} is indented with a tab; YAML takes only spaces")));
    }
    None
}

/// The format that a sops file is in, from how its metadata is written.
fn looks_like(bytes: &[u8]) -> Option<Format> {
    let has = |sign: &str| bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(sign.as_bytes()));
    let is_json = bytes.trim_ascii_start().starts_with(b"{") && holds(bytes, b"\"sops\":");
    match () {
        () if is_json => Some(Format::Json),
        () if has("sops:") => Some(Format::Yaml),
        () if has("[sops]") => Some(Format::Ini),
        () if has("sops_mac=") => Some(Format::Dotenv),
        () => None,
    }
}

/// A file that no identity opens: who could, who tried, and how to let this machine in.
pub(super) fn locked(error: NoDataKey, path: &Path, metadata: &Metadata, identities: &Identities) -> Error {
    let (opened, needed, broken) = match error {
        NoDataKey::Unusable => {
            return Error::new("its master keys open, but hold no data key").help("take a good copy of the file");
        }
        NoDataKey::Locked { opened, needed, broken } => (opened, needed, broken),
    };
    let error = match needed {
        1 => Error::new("no identity here opens it"),
        _ => Error::new(format!("identities here open {opened} of its key groups, and {needed} are needed")),
    };
    let keys = || metadata.key_groups.iter().flat_map(|group| group.in_order());
    let mut error = match needed {
        1 => error.list("it is encrypted to", keys().map(ToString::to_string)),
        _ => error.list("its key groups are", groups(metadata)),
    };
    if keys().any(|key| matches!(key, MasterKey::Remote { .. })) {
        error =
            error.note("keys of services in a network (kms, gcp_kms, azure_kv, hc_vault, hckms) are not opened here");
    }
    let mut error = tried(error, identities, |identity| identity.concerns(keys()))
        .list("did not open", broken.iter().map(|(key, broken)| format!("{key}: {}", broken.why())));
    if broken.iter().any(|(_, broken)| matches!(broken, Broken::File(_))) {
        error = error.help(format!(
            "what the file holds for that key is damaged, or is for another key: take a good copy of the file, or run \
             `sops rotate --in-place {}` where it can be opened",
            quoted(path)
        ));
    }
    if broken.iter().any(|(_, broken)| matches!(broken, Broken::Identity(_))) {
        error = error.help(MEND_IDENTITY);
    }
    if needed > 1 {
        let missing = needed.saturating_sub(opened);
        error = error.help(format!("name identities for {missing} more of its key groups"));
        error = split_groups(error, metadata, path);
    }
    let command = |recipient: &str| format!("add {recipient} to .sops.yaml and run `sops updatekeys {}`", quoted(path));
    if keys().all(|key| matches!(key, MasterKey::Pgp { .. }))
        && !identities.found().iter().any(|one| one.concerns(keys()))
    {
        error = error.help(
            "it is encrypted to PGP keys alone: name gpg's home with `gnupgHome`, or the RSA SSH key that one is made of",
        );
    }
    let_in(error, identities, |identity| identity.is_named(keys()), command)
}

/// The key groups of a file, for people.
pub(crate) fn groups(metadata: &Metadata) -> Vec<String> {
    let names = |group: &KeyGroup| group.in_order().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    metadata.key_groups.iter().zip(1..).map(|(group, number)| format!("{number}: {}", names(group))).collect()
}

/// Adds what to do where all groups are needed, which is mostly an accident.
pub(crate) fn split_groups(error: Error, metadata: &Metadata, path: &Path) -> Error {
    let groups = metadata.key_groups.len();
    if metadata.shamir_threshold != 0 && metadata.shamir_threshold != groups {
        return error;
    }
    error.help(format!(
        "if one key was meant to be enough: below `key_groups` in .sops.yaml, each `-` begins a group; take out the `-` \
         before all but the first of `age:`, `pgp:` and the like, then run `sops updatekeys {}` where keys of all {groups} \
         groups are",
        quoted(path)
    ))
}

const MEND_IDENTITY: &str =
    "an identity that may fit could not be used: fix what is said of it above, then run this again";

/// What is read as a plain age file, and is none.
pub(super) fn not_age(bytes: &[u8], path: &Path) -> Option<Error> {
    let is_age = [&b"age-encryption.org/"[..], b"-----BEGIN AGE ENCRYPTED FILE-----"];
    if is_age.iter().any(|start| bytes.trim_ascii_start().starts_with(start)) {
        return None;
    }
    let error = Error::new("is no age file").in_file(path);
    Some(match looks_like(bytes) {
        Some(other) => {
            error.help(format!("it looks like a sops file of the format {0}: set `format: {0}`", other.name()))
        }
        None => error.help("take a good copy of the file, or set the `format` that it has"),
    })
}

/// A plain age file that no identity opens. It does not say to whom it is encrypted.
pub(super) fn locked_age(broken: &[Broken], identities: &Identities) -> Error {
    let error = tried(Error::new("no identity here decrypts this age file"), identities, Identity::is_for_age)
        .list("what was tried failed", broken.iter().map(Broken::why));
    if broken.iter().any(|broken| matches!(broken, Broken::File(_))) {
        return error.help("the file is damaged: take a good copy of it");
    }
    let error = if broken.is_empty() { error } else { error.help(MEND_IDENTITY) };
    let command = |recipient: &str| format!("encrypt the file to {recipient} too; agenix does with `agenix --rekey`");
    let_in(error, identities, |_| false, command)
}

/// Adds which identities there are, and which key sources gave none. gpg is always there to be tried; it is worth a word
/// only where it `concerns` the file.
fn tried(error: Error, identities: &Identities, concerns: impl Fn(&Identity) -> bool) -> Error {
    let worth_a_word = |identity: &&Identity| identity.is_for_age() || concerns(identity);
    let found = identities.found().iter().filter(worth_a_word);
    let found: Vec<String> = found.map(Identity::described).collect();
    let error = match found.is_empty() {
        true => error.note("there is no identity here"),
        false => error.list("the identities here are", found),
    };
    error.list("could not use", identities.problems())
}

/// Adds what to do about key sources, and how this machine is let in. There is nothing to add where the file `is_named`
/// after one of its keys: what kept that key from opening the file was said.
fn let_in(
    error: Error,
    identities: &Identities,
    is_named: impl Fn(&Identity) -> bool,
    command: impl Fn(&str) -> String,
) -> Error {
    let error = match identities.problems() {
        [] => error,
        _ => error.help("fix the key sources that could not be used"),
    };
    // One SSH key is several identities. They have their origin in common.
    let found = || identities.found().iter();
    let named: Vec<&str> = found().filter(|identity| is_named(identity)).map(|identity| &*identity.origin).collect();
    let others = || found().filter(|identity| identity.is_for_age() && !named.contains(&&*identity.origin));
    let shortest = others().filter_map(Identity::recipient).min_by_key(String::len);
    let let_in = |recipient: &str| format!("to let this machine in, {}", command(recipient));
    match shortest {
        Some(recipient) => error.help(let_in(&recipient)),
        None if others().next().is_some() => error.help(let_in("the recipient of one of its identities")),
        None if !named.is_empty() || !identities.problems().is_empty() => error,
        None => error
            .help("name a key: in the manifest with `age.keyFile` or `age.sshKeyPaths`, or with $SOPS_AGE_KEY_FILE"),
    }
}

/// A file whose values or MAC do not hold.
pub(super) fn refused(error: Refused, path: &Path) -> Error {
    let edit = format!("`sops edit --ignore-mac {}`", quoted(path));
    let changed = format!(
        "something other than sops changed the file, or it is damaged: take a good copy, or look it over with {edit} and \
         change a value there: sops makes a new MAC only then"
    );
    let at = |key: &str, line: u32| match line {
        0 => format!("the key `{key}`"),
        line => format!("line {line}: the key `{key}`"),
    };
    let line = match &error {
        Refused::InClear { line, .. } | Refused::Value { line, .. } if *line > 0 => Some(*line as usize),
        _ => None,
    };
    let told = match error {
        Refused::InClear { key, line } | Refused::Value { key, line, why: CipherError::NotEncrypted } => {
            Error::new(format!("{} {}", at(&key, line), CipherError::NotEncrypted.why()))
                .at_key(key)
                .help(format!("take the value out of the file, then put it in again with {edit}: that encrypts it"))
        }
        Refused::Value { key, line, why } => Error::new(format!("{} {}", at(&key, line), why.why()))
            .at_key(key)
            .help("undo what was changed there: a key that was renamed by hand gets its old name; or take a good copy"),
        Refused::Comment { key } if key.is_empty() => Error::new("a comment does not decrypt").help(changed),
        Refused::Comment { key } => Error::new(format!("a comment below `{key}` does not decrypt")).help(changed),
        Refused::NoMac => Error::new("it has no MAC, so nothing vouches for its values").help(changed),
        Refused::MacBroken(_) => {
            Error::new("its MAC does not decrypt: the MAC or `lastmodified` was changed").help(changed)
        }
        Refused::MacMismatch => {
            Error::new("its MAC does not fit its values: a value was added, removed, moved or changed").help(changed)
        }
    };
    line.into_iter().fold(told, Error::at_line)
}

/// A key that leads nowhere.
pub(super) fn not_found<'a>(
    miss: &Miss<'a>,
    key: &KeyPath,
    finder: &Finder<'a>,
    documents: &[Map],
    path: &Path,
) -> Error {
    let told = Error::new(format!("the key `{key}` is not in {}", path.display())).because_text(miss.why.as_str());
    let mut later = documents.iter().skip(1);
    match later.any(|document| Finder::new(document).find(key).is_ok()) {
        true => told
            .note("it stands in a later document of the file; only the first is searched, as in sops")
            .help("move it to the first document, or install the whole file"),
        false => told.help(finder.help(key, miss)),
    }
}

/// A value that was found and cannot be installed.
pub(super) fn unprintable(key: Option<&KeyPath>, why: Unprintable, output: Option<Output>, path: &Path) -> Error {
    let what = match key {
        Some(key) => format!("the key `{key}` in {}", path.display()),
        None => format!("the file {}", path.display()),
    };
    match why {
        Unprintable::Null => Error::new(format!("{what} is null: there is nothing to install"))
            .help(format!("give it a value with `sops edit {}`, or take the secret out of the manifest", quoted(path))),
        Unprintable::Format(why) => {
            let error = Error::new(format!("{what} cannot be written out")).because_text(why);
            match output {
                Some(_) => error.help("choose another `output`, or the key of something that fits"),
                None => error.help(format!("check `format`, and the file with `sops decrypt {}`", quoted(path))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_is_a_slip_only_where_it_indents() {
        let slip = |text: &str| slip(text.as_bytes(), Format::Yaml).unwrap_or_default().1;
        assert!(slip("a:\n\tb: c\n").starts_with("line 2 is indented with a tab"));
        assert!(slip("a:\n  \tb: c\n").starts_with("line 2 is indented with a tab"));
        assert_eq!(slip("a:\n  b: c\td # \te\n\t\n"), "");
    }
}
