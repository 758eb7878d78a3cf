//! What can be known of a manifest without a private key: keys and recipients stand in clear in sops files.

use crate::error::{Error, Result, quoted};
use crate::identity::names_of_recipient;
use crate::manifest::{KeyRequest, Manifest};
use crate::open;
use crate::plan::{Plan, Source};
use crate::secret::SecretBytes;
use crate::sops::key::KeyPath;
use crate::sops::metadata::{KeyGroup, Metadata};
use std::io;
use std::path::Path;

/// Makes sure that each sops file of a plan can be read, holds each key, and is encrypted to the host, where the manifest
/// names that host's keys.
///
/// # Errors
/// All files and secrets that would fail, each with its reason.
pub fn sops_files(
    manifest: &Manifest,
    plan: &Plan<'_>,
    read: &dyn Fn(&Path) -> io::Result<SecretBytes>,
) -> std::result::Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    let mut hosts = Vec::new();
    for recipient in &manifest.host_recipients {
        match names_of_recipient(recipient) {
            Some(names) => hosts.extend(names),
            None => errors.push(
                Error::new(format!("`hostRecipients`: `{recipient}` is no recipient"))
                    .help("give an age recipient, `age1…`, or an SSH public key of type ed25519 or rsa"),
            ),
        }
    }
    for file in &plan.files {
        let targets = file.secrets.iter().filter_map(|position| plan.targets.get(*position));
        let sources: Vec<Source<'_>> = targets.map(|target| target.source).collect();
        let keys: Vec<Option<&KeyPath>> = sources.iter().map(|source| key_of(*source)).collect();
        let checked = open::check(file.path, file.format, &keys, read).and_then(|checked| {
            if let (Some(metadata), false) = (&checked.metadata, hosts.is_empty()) {
                opens(metadata, &hosts, manifest, file.path)?;
            }
            Ok(checked)
        });
        match checked {
            Err(error) => errors.push(error.within(file.path.display())),
            Ok(checked) => errors.extend(
                checked
                    .missing
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

/// Whether whoever has these names can open a file.
fn opens(metadata: &Metadata, hosts: &[String], manifest: &Manifest, path: &Path) -> Result<()> {
    let is_named = |group: &&KeyGroup| group.0.iter().any(|key| hosts.iter().any(|name| key.is_named(name)));
    let opened = metadata.key_groups.iter().filter(is_named).count();
    let needed = match (metadata.key_groups.len(), metadata.shamir_threshold) {
        (groups, 0) => groups,
        (_, threshold) => threshold,
    };
    if opened >= needed {
        return Ok(());
    }
    let error = match needed {
        1 => Error::new("is not encrypted to this host"),
        _ => Error::new(format!("this host opens {opened} of its key groups, and {needed} are needed")),
    };
    let keys = metadata.key_groups.iter().flat_map(KeyGroup::in_order).map(ToString::to_string);
    let recipient = manifest.host_recipients.first().map_or("", String::as_str);
    Err(error.list("it is encrypted to", keys).help(format!(
        "to let this host in, add `{recipient}` to .sops.yaml and run `sops updatekeys {}`",
        quoted(path)
    )))
}
