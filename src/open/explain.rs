//! What a person is told when a sops file does not open, or does not hold what the manifest wants of it.

use crate::error::{Error, quoted};
use crate::identity::{Identities, Identity};
use crate::plan::{Plan, SopsFile};
use crate::sops::NotSops;
use crate::sops::cipher::CipherError;
use crate::sops::data_key::NoDataKey;
use crate::sops::decrypt::Refused;
use crate::sops::format::Format;
use crate::sops::key::{Finder, KeyPath, Miss, Unprintable};
use crate::sops::metadata::{BadMetadata, Metadata};
use crate::sops::store::SyntaxError;
use crate::sops::tree::Map;
use std::path::Path;

/// Which secrets a file is needed by.
pub(super) fn needed_by(plan: &Plan<'_>, file: &SopsFile<'_>) -> String {
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
    match error {
        NotSops::Syntax(SyntaxError { line, why }) => {
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let error = Error::new(format!("{line}{why}"));
            match slip(bytes, format) {
                Some(slip) => error.help(slip),
                None => error.help(wrong_format(format)),
            }
        }
        NotSops::Metadata(BadMetadata::Missing) => Error::new("has no sops metadata, so it is not encrypted")
            .help(format!("encrypt it with `sops encrypt --in-place {}`", quoted(path)))
            .help(wrong_format(format)),
        NotSops::Metadata(BadMetadata::Unusable(why)) => {
            Error::new("has sops metadata that cannot be used").because_text(why).help("take a good copy of the file")
        }
    }
}

fn wrong_format(format: Format) -> String {
    match format {
        Format::Binary => {
            "the file is read as binary, which sops wraps in JSON; if it is something else, give the file \
                           the ending that says so, or set `format`"
                .to_owned()
        }
        format => format!("the file is read as {}; if it is something else, set `format`", format.name()),
    }
}

/// What may have happened to a file that cannot be read, told from its lines.
fn slip(bytes: &[u8], format: Format) -> Option<String> {
    let lines = || bytes.split(|byte| *byte == b'\n').enumerate();
    let find = |test: fn(&[u8]) -> bool| lines().find(|(_, line)| test(line)).map(|(number, _)| number + 1);
    let is_mark = |line: &[u8]| [&b"<<<<<<< "[..], b">>>>>>> "].iter().any(|mark| line.starts_with(mark));
    if let Some(line) = find(is_mark) {
        return Some(format!(
            "line {line} is the mark of a merge conflict: resolve it, then check the file with `sops decrypt`"
        ));
    }
    let begins_with_tab =
        |line: &[u8]| line.starts_with(b"\t") || line.trim_ascii_start() != line && line.contains(&b'\t');
    if format == Format::Yaml
        && let Some(line) = find(begins_with_tab)
    {
        return Some(format!("line {line} is indented with a tab; YAML takes only spaces"));
    }
    None
}

/// A file that no identity opens: who could, who tried, and how to let this machine in.
pub(super) fn locked(error: NoDataKey, path: &Path, metadata: &Metadata, identities: &Identities) -> Error {
    let (opened, needed, broken) = match error {
        NoDataKey::Unusable => {
            return Error::new("its master keys open, but hold no data key").help("take a good copy of the file");
        }
        NoDataKey::Locked { opened, needed, broken } => (opened, needed, broken),
    };
    let mut error = match needed {
        1 => Error::new("no identity here opens it"),
        _ => Error::new(format!("identities here open {opened} of its key groups, and {needed} are needed")),
    };
    let keys = || metadata.key_groups.iter().flat_map(|group| group.in_order());
    error = error.note(format!("it is encrypted to\n{}", lines(keys().map(ToString::to_string))));
    error = tried(error, identities, |identity| identity.concerns(keys()));
    if !broken.is_empty() {
        error = error.note(format!("did not open\n{}", broken.join("\n")));
    }
    if broken.iter().any(|why| why.contains("its `enc`")) {
        error = error.help("what the file holds for that key is damaged: take a good copy of the file");
    }
    let command = |recipient| format!("add {recipient} to .sops.yaml and run `sops updatekeys {}`", quoted(path));
    let_in(error, identities, command)
}

/// A plain age file that no identity opens. It does not say to whom it is encrypted.
pub(super) fn locked_age(broken: Option<String>, identities: &Identities) -> Error {
    let error = tried(Error::new("no identity here decrypts this age file"), identities, Identity::is_for_age);
    let error = match broken {
        Some(why) => error.note(format!("what was tried failed: {why}")),
        None => error,
    };
    let_in(error, identities, |recipient| {
        format!("encrypt the file to {recipient} too; agenix does with `agenix --rekey`")
    })
}

/// Adds which identities there are, and which key sources gave none. gpg is always there to be tried; it is worth a word
/// only where it `concerns` the file.
fn tried(error: Error, identities: &Identities, concerns: impl Fn(&Identity) -> bool) -> Error {
    let worth_a_word = |identity: &&Identity| identity.recipient().is_some() || concerns(identity);
    let found = identities.found().iter().filter(worth_a_word);
    let found = lines(found.map(|identity| format!("{} from {}", identity.public, identity.origin)));
    let error = match found.as_str() {
        "" => error.note("there is no identity here"),
        found => error.note(format!("the identities here are\n{found}")),
    };
    match identities.problems() {
        [] => error,
        problems => error.note(format!("could not use\n{}", problems.join("\n"))),
    }
}

/// Adds how this machine is let in.
fn let_in(error: Error, identities: &Identities, command: impl Fn(String) -> String) -> Error {
    // An age recipient is the shortest name that a key has.
    let recipients = || identities.found().iter().filter_map(Identity::recipient);
    match recipients().find(|recipient| recipient.starts_with("age1")).or_else(|| recipients().next()) {
        Some(recipient) => error.help(format!("to let this machine in, {}", command(recipient))),
        None => error.help("name a key in the manifest: `age.keyFile` or `age.sshKeyPaths`"),
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// A file whose values or MAC do not hold.
pub(super) fn refused(error: Refused, path: &Path) -> Error {
    let edit = format!("`sops edit --ignore-mac {}`", quoted(path));
    let changed = format!(
        "something other than sops changed the file, or it is damaged: take a good copy, or look it over with {edit}, \
         which makes a new MAC"
    );
    let at = |key: &str, line: u32| match line {
        0 => format!("the key `{key}`"),
        line => format!("line {line}: the key `{key}`"),
    };
    match error {
        Refused::InClear { key, line } | Refused::Value { key, line, why: CipherError::NotEncrypted } => {
            Error::new(format!("{} {}", at(&key, line), CipherError::NotEncrypted.why()))
                .help(format!("open the file with {edit} and save it: that encrypts the value"))
        }
        Refused::Value { key, line, why } => Error::new(format!("{} {}", at(&key, line), why.why())).help(changed),
        Refused::Comment { key } if key.is_empty() => Error::new("a comment does not decrypt").help(changed),
        Refused::Comment { key } => Error::new(format!("a comment below `{key}` does not decrypt")).help(changed),
        Refused::NoMac => Error::new("it has no MAC, so nothing vouches for its values").help(changed),
        Refused::MacBroken(_) => {
            Error::new("its MAC does not decrypt: the MAC or `lastmodified` was changed").help(changed)
        }
        Refused::MacMismatch => {
            Error::new("its MAC does not fit its values: a value was added, removed, moved or changed").help(changed)
        }
    }
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
        true => told.help("it stands in a later document of the file; only the first is searched, as in sops"),
        false => told.help(finder.help(key, miss)),
    }
}

/// A value that was found and cannot be installed.
pub(super) fn unprintable(key: Option<&KeyPath>, why: Unprintable, path: &Path) -> Error {
    let what = match key {
        Some(key) => format!("the key `{key}` in {}", path.display()),
        None => format!("the file {}", path.display()),
    };
    match why {
        Unprintable::Null => Error::new(format!("{what} is null: there is nothing to install"))
            .help(format!("give it a value with `sops edit {}`, or take the secret out of the manifest", quoted(path))),
        Unprintable::Format(why) => {
            Error::new(format!("{what} cannot be written out")).because_text(why).help("check the format and the key")
        }
    }
}
