//! What can be known of a manifest without a private key: keys stand in clear in sops files.

use crate::error::Error;
use crate::manifest::{KeyRequest, Manifest};
use crate::open::{self, EncryptedCheck};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::secret::SecretBytes;

/// Makes sure that each sops file of a manifest can be read, and holds each key.
///
/// # Errors
/// All files and secrets that would fail, each with its reason.
pub fn sops_files(manifest: &Manifest, read: &dyn Fn(&Path) -> io::Result<SecretBytes>) -> Result<(), Vec<Error>> {
    let mut files: BTreeMap<PathBuf, Result<EncryptedCheck, ()>> = BTreeMap::new();
    let mut errors = Vec::new();
    for secret in &manifest.secrets {
        let place: PathBuf = secret.sops_file.components().collect();
        let file = files.entry(place).or_insert_with(|| {
            let checked = open::check(&secret.sops_file, secret.format, read);
            checked.map_err(|error| errors.push(error.within(secret.sops_file.display())))
        });
        let (Ok(file), KeyRequest::Key(key)) = (file, &secret.key) else { continue };
        if let Err(error) = file.find(key, &secret.sops_file) {
            errors.push(error.within(format_args!("secret `{}`", secret.name)));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
