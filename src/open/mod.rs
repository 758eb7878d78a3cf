//! Opens the sops files of a plan: each is read once, its data key unwrapped once, its values decrypted and its MAC
//! verified once, however many secrets come from it.

mod explain;

pub(crate) use explain::{groups, needed_by, split_groups};

use crate::error::{Error, printable};
use crate::identity::Identities;
use crate::manifest::{KeyRequest, Secret};
use crate::parallel;
use crate::plan::{Failure, Plan, SopsFile, Source};
use crate::secret::SecretBytes;
use crate::sops::clear::{self, What};
use crate::sops::convert::Output;
use crate::sops::data_key::{self, DataKey, Keyring, Unwrapped};
use crate::sops::decrypt::Refused;
use crate::sops::format::Format;
use crate::sops::key::{Finder, KeyPath, Part};
use crate::sops::metadata::{KeyGroup, Metadata};
use crate::sops::sieve::{self, Sieve};
use crate::sops::tree::Map;
use crate::sops::{EncryptedFile, VerifiedFile};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the sops files of a plan gave.
#[derive(Default)]
pub struct Contents {
    /// The bytes of each secret, with its position in [`Plan::targets`].
    pub secrets: Vec<(usize, SecretBytes)>,
    /// The files and secrets that failed.
    pub failures: Vec<Failure>,
    /// Things to tell the user that are no errors, a line each, without control characters.
    pub notices: Vec<String>,
    /// The files that opened.
    pub opened: Vec<Opened>,
}

/// A file that opened.
pub struct Opened {
    /// Where it lies.
    pub path: PathBuf,
    /// The identities that opened it, as positions in [`Identities::found`]; none for a plain age file.
    pub by: Vec<usize>,
    /// How long that took, from reading it to the last value.
    pub took: Duration,
}

/// What opening needs from outside.
pub struct Means<'a> {
    /// Who can open master keys.
    pub keyring: &'a dyn Keyring,
    /// What was tried, for the error when no identity fits.
    pub identities: &'a Identities,
    /// Gives the bytes of a file.
    pub read: &'a (dyn Fn(&Path) -> io::Result<SecretBytes> + Sync),
    /// Opens a file that is better not read whole; `None` for others.
    pub open_large: &'a (dyn Fn(&Path) -> Option<File> + Sync),
}

/// Opens all files, several at a time. One that fails does not keep the others from being opened.
pub fn open(plan: &Plan<'_>, means: &Means<'_>) -> Contents {
    let opened =
        parallel::each(plan.files.len(), |number| plan.files.get(number).map(|file| open_file(plan, file, means)));
    let mut contents = Contents::default();
    for mut opened in opened.into_iter().flatten() {
        contents.secrets.append(&mut opened.secrets);
        contents.failures.append(&mut opened.failures);
        contents.notices.append(&mut opened.notices);
        contents.opened.append(&mut opened.opened);
    }
    contents
}

/// Makes sure that every file of a plan still opens: its data key is unwrapped, its values are not decrypted. `None` where one
/// does not, or has none because it is a plain age file.
pub fn unlock(plan: &Plan<'_>, means: &Means<'_>) -> Option<Vec<Opened>> {
    let unlock = |file: &SopsFile<'_>| {
        let begun = Instant::now();
        let by = match unlock_file(file.path, file.format, means).ok()? {
            Unlocked::Age(_) => return None,
            // A data key of a damaged file may be one of 32 bytes, and another.
            Unlocked::Sops(encrypted, key, by) => encrypted.is_keyed_by(&key).then_some(by)?,
        };
        Some(Opened { path: file.path.to_owned(), by, took: begun.elapsed() })
    };
    parallel::each(plan.files.len(), |number| unlock(plan.files.get(number)?)).into_iter().collect()
}

/// One value of one file, or all of it.
pub struct Request<'a> {
    /// The sops file.
    pub path: &'a Path,
    /// How it is read.
    pub format: Format,
    /// The key of the value; `None` is the whole file.
    pub key: Option<KeyPath>,
    /// The form it is wanted in; `None` is the file's own.
    pub output: Option<Output>,
}

/// Opens one file and takes one value out of it.
pub fn one(request: &Request<'_>, means: &Means<'_>) -> Result<SecretBytes, Error> {
    let fail = |error: Error| error.within(request.path.display());
    let (file, _) = verify(request.path, request.format, means).map_err(fail)?;
    let mut taking = Taking::new(request.path, &file);
    match &request.key {
        Some(key) => taking.value(key, request.output),
        None => taking.whole(request.output),
    }
}

fn open_file(plan: &Plan<'_>, file: &SopsFile<'_>, means: &Means<'_>) -> Contents {
    let begun = Instant::now();
    let of_plan = |position: &usize| match plan.targets.get(*position)?.source {
        source @ Source::Secret(secret) => Some((*position, source, secret)),
        Source::Template(_) => None,
    };
    let wanted: Vec<_> = file.secrets.iter().filter_map(of_plan).collect();
    let opened = open_wanted(file, &wanted, means);
    opened.map_or_else(
        |error| {
            let error = error.within(file.path.display()).note(explain::needed_by(plan, file));
            let failure = Failure { targets: file.secrets.clone(), error };
            Contents { failures: vec![failure], ..Contents::default() }
        },
        |(mut contents, by)| {
            contents.opened.push(Opened { path: file.path.to_owned(), by, took: begun.elapsed() });
            contents
        },
    )
}

/// A secret that is wanted of a file, with its position in the plan.
type Wanted<'a> = (usize, Source<'a>, &'a Secret);

/// What is wanted of a file, and who opened it.
fn open_wanted(file: &SopsFile<'_>, wanted: &[Wanted<'_>], means: &Means<'_>) -> Result<(Contents, Vec<usize>), Error> {
    if let Some((verified, by)) = sieve(file, wanted, means) {
        let contents = take_all(file.path, verified, wanted);
        if contents.failures.is_empty() {
            return Ok((contents, by));
        }
    }
    // Read whole, the file tells what is wrong. The keyring remembers its answers: nobody is asked twice for that.
    let (verified, by) = verify(file.path, file.format, means)?;
    Ok((take_all(file.path, verified, wanted), by))
}

/// Takes secrets out of a file.
fn take_all(path: &Path, mut verified: VerifiedFile, wanted: &[Wanted<'_>]) -> Contents {
    let mut contents = Contents::default();
    if let [(position, _, Secret { key: KeyRequest::Whole, output: None, .. })] = wanted
        && let Some(bytes) = verified.take_only_value()
    {
        contents.secrets.push((*position, bytes));
        return contents;
    }
    let mut taking = Taking::new(path, &verified);
    contents.secrets.reserve_exact(wanted.len());
    for (position, source, secret) in wanted {
        match taking.take(secret) {
            Ok(bytes) => contents.secrets.push((*position, bytes)),
            Err(error) => contents.failures.push(Failure { targets: vec![*position], error: error.of(*source) }),
        }
    }
    contents.notices = taking.notices;
    contents
}

/// Opens a large file without holding all of it; `None` where that cannot be, or where it would not do.
fn sieve(file: &SopsFile<'_>, wanted: &[Wanted<'_>], means: &Means<'_>) -> Option<(VerifiedFile, Vec<usize>)> {
    let first = |(.., secret): &Wanted<'_>| match &secret.key {
        KeyRequest::Key(key) => key.parts().into_iter().next().map(Cow::into_owned),
        KeyRequest::Whole | KeyRequest::KeyOrWhole(_) => None,
    };
    let is_whole = |(.., secret): &Wanted<'_>| secret.key == KeyRequest::Whole && secret.output.is_none();
    let keys;
    let what = match () {
        () if file.format != Format::Yaml => return None,
        () if wanted.iter().all(is_whole) => sieve::Wanted::Whole,
        () => {
            keys = wanted.iter().map(first).collect::<Option<_>>()?;
            sieve::Wanted::Keys(&keys)
        }
    };
    let sieve = Sieve::new((means.open_large)(file.path)?)?;
    let (key, by) = recover(file.path, sieve.metadata(), means).ok()?;
    sieve.open(&key, &what).map(|verified| (verified, by))
}

/// A file whose data key is at hand.
enum Unlocked {
    /// A plain age file has none: it is decrypted.
    Age(VerifiedFile),
    /// One of sops, its data key, and who gave that.
    Sops(Box<EncryptedFile>, DataKey, Vec<usize>),
}

/// The file, and who opened it.
fn verify(path: &Path, format: Format, means: &Means<'_>) -> Result<(VerifiedFile, Vec<usize>), Error> {
    match unlock_file(path, format, means)? {
        Unlocked::Age(file) => Ok((file, Vec::new())),
        Unlocked::Sops(encrypted, key, by) => {
            encrypted.open(&key).map(|file| (file, by)).map_err(|error| explain::refused(error, path))
        }
    }
}

/// Reads a file and unwraps its data key.
fn unlock_file(path: &Path, format: Format, means: &Means<'_>) -> Result<Unlocked, Error> {
    let bytes = (means.read)(path).map_err(unreadable)?;
    if format == Format::Age {
        if let Some(error) = explain::not_age(bytes.expose(), path) {
            return Err(error);
        }
        return match means.keyring.decrypt_age(bytes.expose()) {
            Unwrapped::Opened(plain) => Ok(Unlocked::Age(VerifiedFile::of_age(plain))),
            Unwrapped::NotMine => Err(explain::locked_age(&[], means.identities)),
            Unwrapped::Broken(reasons) => Err(explain::locked_age(&reasons, means.identities)),
        };
    }
    let encrypted = EncryptedFile::read(bytes.expose(), format)
        .map_err(|error| explain::not_sops(error, path, format, bytes.expose()))?;
    drop(bytes);
    let (key, by) = recover(path, encrypted.metadata(), means)?;
    Ok(Unlocked::Sops(Box::new(encrypted), key, by))
}

/// The data key of a file, and who gave it.
fn recover(path: &Path, metadata: &Metadata, means: &Means<'_>) -> Result<(DataKey, Vec<usize>), Error> {
    let key = data_key::recover(metadata, means.keyring)
        .map_err(|error| explain::locked(error, path, metadata, means.identities))?;
    let keys = metadata.key_groups.iter().flat_map(KeyGroup::in_order);
    Ok((key, means.identities.openers(keys)))
}

fn unreadable(error: io::Error) -> Error {
    Error::new("cannot be read").because(error).help("check the path of the file, and who may read it")
}

/// The document of a file that has none.
static EMPTY: Map = Map(Vec::new());

/// Takes secrets out of one file.
struct Taking<'a> {
    path: &'a Path,
    file: &'a VerifiedFile,
    finder: Finder<'a>,
    /// The whole file as it is printed. Many secrets may be that; it is printed once.
    whole: Option<SecretBytes>,
    notices: Vec<String>,
}

impl<'a> Taking<'a> {
    fn new(path: &'a Path, file: &'a VerifiedFile) -> Self {
        let finder = Finder::new(file.documents().first().unwrap_or(&EMPTY));
        Self { path, file, finder, whole: None, notices: Vec::new() }
    }

    fn take(&mut self, secret: &Secret) -> Result<SecretBytes, Error> {
        match &secret.key {
            KeyRequest::Whole => self.whole(secret.output),
            KeyRequest::KeyOrWhole(key) if self.finder.find(key).is_err() => {
                // sops-nix's modules write the secret's name as key where the user gave none.
                if key.to_string() != secret.name.as_str() {
                    self.notices.push(printable(&format!(
                        "secret `{}`: {} has no key `{key}`, so the whole file is installed, as sops-nix does; \
                         set `key` to \"\" to say that this is meant",
                        secret.name,
                        self.path.display()
                    )));
                }
                self.whole(secret.output)
            }
            KeyRequest::Key(key) | KeyRequest::KeyOrWhole(key) => self.value(key, secret.output),
        }
    }

    fn value(&self, key: &KeyPath, output: Option<Output>) -> Result<SecretBytes, Error> {
        match self.finder.find(key) {
            Ok(node) => self
                .file
                .extract(Part::Value(node), output)
                .map_err(|why| explain::unprintable(Some(key), why, output, self.path)),
            Err(miss) => Err(explain::not_found(&miss, key, &self.finder, self.file.documents(), self.path)),
        }
    }

    fn whole(&mut self, output: Option<Output>) -> Result<SecretBytes, Error> {
        let print = || {
            let printed = self.file.extract(Part::Whole, output);
            printed.map_err(|why| explain::unprintable(None, why, output, self.path))
        };
        match (&self.whole, output) {
            (Some(bytes), None) => Ok(bytes.clone()),
            (None, None) => Ok(self.whole.insert(print()?).clone()),
            (_, Some(_)) => print(),
        }
    }
}

/// What a sops file tells without a key.
pub struct Inspected {
    /// Who can open the file; `None` for a plain age file, which does not say.
    pub metadata: Option<Metadata>,
    /// Why the file would not be believed, whoever can open it: it has no MAC, or values in clear that its rule encrypts.
    pub refused: Vec<Error>,
    documents: Vec<Map>,
}

/// Of how many values of a file it is told that they stand in clear.
const MOST_REFUSED: usize = 20;

/// Reads a sops file without decrypting it.
///
/// # Errors
/// The same as when it is opened, as far as they can be told without a key.
pub fn inspect(
    path: &Path,
    format: Format,
    read: &dyn Fn(&Path) -> io::Result<SecretBytes>,
) -> Result<Inspected, Error> {
    let bytes = read(path).map_err(unreadable)?;
    if format == Format::Age {
        return match explain::not_age(bytes.expose(), path) {
            Some(error) => Err(error),
            None => Ok(Inspected { metadata: None, documents: Vec::new(), refused: Vec::new() }),
        };
    }
    let file = EncryptedFile::read(bytes.expose(), format)
        .map_err(|error| explain::not_sops(error, path, format, bytes.expose()))?;
    let (metadata, documents) = file.into_parts();
    let mut refused = Vec::new();
    if metadata.mac.is_empty() {
        refused.push(explain::refused(Refused::NoMac, path));
    }
    let text = (format == Format::Json).then_some(bytes.expose());
    clear::visit(&documents, &metadata.rule, text, &mut |clear| {
        // Older versions of sops left comments in clear.
        if clear.is_to_be_encrypted && matches!(clear.what, What::Value(_)) && refused.len() < MOST_REFUSED {
            let key = clear.keys.join("/");
            refused.push(explain::refused(Refused::InClear { key, line: clear.line }, path));
        }
    });
    Ok(Inspected { metadata: Some(metadata), documents, refused })
}

impl Inspected {
    /// Finds keys in the file.
    pub fn finder(&self) -> Finder<'_> {
        Finder::new(self.documents.first().unwrap_or(&EMPTY))
    }

    /// Makes sure that there is a key. `path` is the file's, for the error. A plain age file has none.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn find<'a>(&'a self, finder: &Finder<'a>, key: &KeyPath, path: &Path) -> Result<(), Error> {
        match (&self.metadata, finder.find(key)) {
            (None, _) | (_, Ok(_)) => Ok(()),
            (Some(_), Err(miss)) => Err(explain::not_found(&miss, key, finder, &self.documents, path)),
        }
    }
}
