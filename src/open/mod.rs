//! Opens the sops files of a plan: each is read once, its data key unwrapped once, its values decrypted and its MAC
//! verified once, however many secrets come from it.

mod explain;

use crate::error::Error;
use crate::identity::Identities;
use crate::manifest::KeyRequest;
use crate::plan::{Plan, SopsFile};
use crate::secret::SecretBytes;
use crate::sops::data_key::{self, Keyring};
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
    let fail = |error: Error| vec![error.within(file.path.display()).note(explain::needed_by(plan, file))];
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
    let encrypted = EncryptedFile::read(bytes.expose(), file.format)
        .map_err(|error| explain::not_sops(error, file, bytes.expose()))?;
    drop(bytes);
    let key = data_key::recover(encrypted.metadata(), means.keyring)
        .map_err(|error| explain::locked(error, file.path, encrypted.metadata(), means.identities))?;
    encrypted.open(&key).map_err(|error| explain::refused(error, file.path))
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
            let bytes = file.whole().map_err(|why| explain::unprintable(None, why, path))?;
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
        Ok(node) => file.extract(node).map_err(|why| explain::unprintable(Some(key), why, path)),
        Err(_) if or_whole => {
            // sops-nix's modules write the secret's name as key where the user gave none.
            if key.to_string() != name {
                notices.push(format!(
                    "secret `{name}`: {} has no key `{key}`, so the whole file is installed, as sops-nix does; \
                     set `key` to \"\" to say that this is meant",
                    path.display()
                ));
            }
            all()
        }
        Err(not_found) => Err(explain::not_found(not_found, key, file, path)),
    }
}
