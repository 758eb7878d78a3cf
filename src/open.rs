//! Opens the sops files of a plan: each is read once, its data key unwrapped once, its values decrypted and its MAC
//! verified once, however many secrets come from it.

use crate::error::Error;
use crate::identity::Identities;
use crate::manifest::KeyRequest;
use crate::plan::{Plan, SopsFile};
use crate::secret::SecretBytes;
use crate::sops::data_key::{self, Keyring, NoDataKey};
use crate::sops::decrypt::Refused;
use crate::sops::format::Format;
use crate::sops::key::{KeyPath, NotFound, Unprintable};
use crate::sops::metadata::Metadata;
use crate::sops::store::SyntaxError;
use crate::sops::tree::Map;
use crate::sops::{EncryptedFile, VerifiedFile};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the secrets of a plan hold, in the plan's order, and what there is to say about them.
pub struct Contents {
    /// The bytes of each secret.
    pub secrets: Vec<SecretBytes>,
    /// Things to tell the user that are no errors.
    pub notices: Vec<String>,
}

/// What one file gave: for each of its secrets the position in the plan and the bytes.
#[derive(Default)]
struct Opened {
    secrets: Vec<(usize, SecretBytes)>,
    notices: Vec<String>,
}

/// What opening needs from outside.
pub struct Means<'a> {
    /// Who can open master keys.
    pub keyring: &'a dyn Keyring,
    /// What was tried, for the error when no identity fits.
    pub identities: &'a Identities,
    /// Gives the bytes of a file.
    pub read: &'a (dyn Fn(&Path) -> io::Result<SecretBytes> + Sync),
}

/// Opens all files, several at a time.
///
/// # Errors
/// All files and secrets that fail, at once: nothing is installed unless everything opens.
pub fn open(plan: &Plan<'_>, means: &Means<'_>) -> Result<Contents, Vec<Error>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = plan.files.get(number) else { break };
            let result = open_file(plan, file, means);
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(number, result);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(plan.files.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut contents = Contents { secrets: vec![SecretBytes::default(); plan.secrets.len()], notices: Vec::new() };
    let mut errors = Vec::new();
    for result in results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
        match result {
            Ok(Opened { secrets, notices }) => {
                contents.notices.extend(notices);
                for (position, bytes) in secrets {
                    if let Some(place) = contents.secrets.get_mut(position) {
                        *place = bytes;
                    }
                }
            }
            Err(failed) => errors.extend(failed),
        }
    }
    if errors.is_empty() { Ok(contents) } else { Err(errors) }
}

fn open_file(plan: &Plan<'_>, file: &SopsFile<'_>, means: &Means<'_>) -> Result<Opened, Vec<Error>> {
    let fail = |error: Error| vec![error.within(file.path.display()).help(needed_by(plan, file))];
    let verified = verify(file, means).map_err(fail)?;
    // Many secrets may be the whole file; it is printed once.
    let mut whole = None;
    let (mut opened, mut errors) = (Opened::default(), Vec::new());
    for position in &file.secrets {
        let Some(secret) = plan.secrets.get(*position) else { continue };
        match extract(&verified, secret.key, &mut whole, &mut opened.notices, secret.name.as_str(), file.path) {
            Ok(bytes) => opened.secrets.push((*position, bytes)),
            Err(error) => errors.push(error.within(format_args!("secret `{}`", secret.name))),
        }
    }
    if errors.is_empty() { Ok(opened) } else { Err(errors) }
}

fn verify(file: &SopsFile<'_>, means: &Means<'_>) -> Result<VerifiedFile, Error> {
    let bytes = (means.read)(file.path)
        .map_err(|error| Error::new("cannot be read").because(error).help("check `sopsFile` in the manifest"))?;
    let encrypted = EncryptedFile::read(bytes.expose(), file.format).map_err(|error| syntax(error, file.format))?;
    drop(bytes);
    let key = data_key::recover(encrypted.metadata(), means.keyring)
        .map_err(|error| locked(error, encrypted.metadata(), means.identities))?;
    encrypted.open(&key).map_err(refused)
}

fn extract(
    file: &VerifiedFile,
    key: &KeyRequest,
    whole: &mut Option<SecretBytes>,
    notices: &mut Vec<String>,
    name: &str,
    path: &Path,
) -> Result<SecretBytes, Error> {
    let mut all = || match &*whole {
        Some(bytes) => Ok(bytes.clone()),
        None => {
            let bytes = file.whole().map_err(|why| unprintable(None, why, path))?;
            *whole = Some(bytes.clone());
            Ok(bytes)
        }
    };
    let (key, or_whole) = match key {
        KeyRequest::Whole => return all(),
        KeyRequest::Key(key) => (key, false),
        KeyRequest::KeyOrWhole(key) => (key, true),
    };
    let empty = Map::default();
    match key.find(file.documents().first().unwrap_or(&empty)) {
        Ok(node) => file.extract(node).map_err(|why| unprintable(Some(key), why, path)),
        Err(_) if or_whole => {
            notices.push(format!(
                "secret `{name}`: {} has no key `{key}`, so the whole file is installed, as sops-nix does; \
                 set `key` to \"\" to say that this is meant",
                path.display()
            ));
            all()
        }
        Err(NotFound { why, help }) => {
            let error =
                Error::new(format!("the key `{key}` is not in {}", path.display())).because_text(why).help(help);
            Err(match file.documents().iter().skip(1).any(|document| key.find(document).is_ok()) {
                true => error.help("it stands in a later document of the file; only the first is searched, as in sops"),
                false => error,
            })
        }
    }
}

fn unprintable(key: Option<&KeyPath>, why: Unprintable, path: &Path) -> Error {
    let what = match key {
        Some(key) => format!("the key `{key}` in {}", path.display()),
        None => format!("the file {}", path.display()),
    };
    match why {
        Unprintable::Null => Error::new(format!("{what} is null: there is nothing to install"))
            .help("give it a value with `sops edit`, or take the secret out of the manifest"),
        Unprintable::Format(why) => Error::new(format!("{what} cannot be written out")).because_text(why),
    }
}

fn needed_by(plan: &Plan<'_>, file: &SopsFile<'_>) -> String {
    const SHOWN: usize = 5;
    let names = file.secrets.iter().filter_map(|position| plan.secrets.get(*position));
    let shown: Vec<String> = names.take(SHOWN).map(|secret| format!("`{}`", secret.name)).collect();
    let more = match file.secrets.len() {
        count if count > SHOWN => format!(" and {} more", count - SHOWN),
        _ => String::new(),
    };
    format!("the file is needed by {}{more}", shown.join(", "))
}

fn syntax(error: SyntaxError, format: Format) -> Error {
    let line = error.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    Error::new(format!("{line}{}", error.why))
        .help(format!("the file is read as {}; if it is something else, set `format`", format.name()))
        .help("encrypt it with `sops encrypt --in-place FILE` if it is in clear")
}

fn refused(error: Refused) -> Error {
    let at = |key: &str, line: u32| match line {
        0 => format!("the key `{key}`"),
        line => format!("line {line}: the key `{key}`"),
    };
    let edited = "the file was changed by something other than sops, or damaged: take a good copy, or repair it with \
                  `sops edit --ignore-mac FILE`";
    match error {
        Refused::Value { key, line, why } => Error::new(format!("{} {}", at(&key, line), why.why())).help(edited),
        Refused::InClear { key, line } => {
            Error::new(format!("{} is in clear, though the file's rules say that it must be encrypted", at(&key, line)))
                .help("encrypt it: open the file with `sops edit --ignore-mac FILE` and save it")
        }
        Refused::Comment { key } if key.is_empty() => Error::new("a comment does not decrypt").help(edited),
        Refused::Comment { key } => Error::new(format!("a comment below `{key}` does not decrypt")).help(edited),
        Refused::NoMac => Error::new("it has no MAC, so nothing vouches for its values").help(edited),
        Refused::MacBroken(_) => {
            Error::new("its MAC does not decrypt: the MAC or `lastmodified` was changed").help(edited)
        }
        Refused::MacMismatch => {
            Error::new("its MAC does not fit its values: a value was added, removed, moved or changed").help(edited)
        }
    }
}

fn locked(error: NoDataKey, metadata: &Metadata, identities: &Identities) -> Error {
    let (opened, needed, broken) = match error {
        NoDataKey::Unusable => {
            return Error::new("its master keys open, but hold no data key").help("take a good copy of the file");
        }
        NoDataKey::Locked { opened, needed, broken } => (opened, needed, broken),
    };
    let mut error = match needed {
        1 => Error::new("no identity here opens it"),
        _ => Error::new(format!("identities here open {opened} key groups, and {needed} are needed")),
    };
    for why in broken {
        error = error.help(format!("broken: {why}"));
    }
    let recipients: Vec<String> =
        metadata.key_groups.iter().flat_map(|group| group.in_order()).map(ToString::to_string).collect();
    error = error.help(format!("it is encrypted to\n{}", recipients.join("\n")));
    let tried: Vec<String> =
        identities.found().iter().map(|identity| format!("{} ({})", identity.public, identity.origin)).collect();
    error = error.help(match tried.as_slice() {
        [] => "no identity was found".to_owned(),
        tried => format!("tried\n{}", tried.join("\n")),
    });
    if !identities.problems().is_empty() {
        error = error.help(format!("could not use\n{}", identities.problems().join("\n")));
    }
    match identities.found().first() {
        Some(identity) => error.help(format!(
            "to let this machine in, add {} to .sops.yaml and run `sops updatekeys FILE`",
            identity.public
        )),
        None => error.help("name a key in the manifest: `age.keyFile` or `age.sshKeyPaths`"),
    }
}
