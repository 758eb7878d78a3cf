//! What can be known of a manifest without a private key: keys stand in clear in sops files.

use crate::error::Error;
use crate::manifest::KeyRequest;
use crate::open;
use crate::plan::{Plan, Source};
use crate::secret::SecretBytes;
use crate::sops::key::KeyPath;
use std::io;
use std::path::Path;

/// Makes sure that each sops file of a plan can be read, and holds each key.
///
/// # Errors
/// All files and secrets that would fail, each with its reason.
pub fn sops_files(plan: &Plan<'_>, read: &dyn Fn(&Path) -> io::Result<SecretBytes>) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    for file in &plan.files {
        let sources: Vec<Source<'_>> = file
            .secrets
            .iter()
            .filter_map(|position| plan.targets.get(*position))
            .map(|target| target.source)
            .collect();
        let keys: Vec<Option<&KeyPath>> = sources.iter().map(|source| key_of(*source)).collect();
        match open::check(file.path, file.format, &keys, read) {
            Err(error) => errors.push(error.within(file.path.display())),
            Ok(missing) => errors.extend(
                missing
                    .into_iter()
                    .filter_map(|(position, error)| sources.get(position).map(|source| error.within(source))),
            ),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The key that must be there.
fn key_of(source: Source<'_>) -> Option<&KeyPath> {
    match source {
        Source::Secret(secret) => match &secret.key {
            KeyRequest::Key(key) => Some(key),
            KeyRequest::Whole | KeyRequest::KeyOrWhole(_) => None,
        },
        Source::Template(_) => None,
    }
}
