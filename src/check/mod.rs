//! What can be known of manifests without a private key: keys and recipients stand in clear in sops files.

pub mod fleet;
mod host;

pub use host::{BadRecipient, HostKeys, no_key};

use crate::error::{Error, Result, quoted};
use crate::manifest::Manifest;
use crate::open::{self, Inspected};
use crate::parallel;
use crate::plan::{Plan, SopsFile, Source};
use crate::secret::SecretBytes;
use crate::sops::format::Format;
use crate::sops::key::KeyPath;
use crate::sops::metadata::{KeyGroup, Metadata};
use crate::template::{self, Reader};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Gives the bytes of a file.
pub type Read<'a> = &'a (dyn Fn(&Path) -> io::Result<SecretBytes> + Sync);

/// A manifest to check, and for whom.
pub struct Subject<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Its plan.
    pub plan: &'a Plan<'a>,
    /// The keys of the host that is to open the files.
    pub keys: &'a HostKeys,
}

/// An error that several subjects may have in common, such as a file that cannot be read.
pub type Finding = Arc<Error>;

/// Makes sure for each of several manifests that the sops files of its plan can be read, hold each key, and are encrypted to
/// its host, where the keys of that are known. A file that several manifests need is read once.
///
/// What is found is in the order of the plan's files.
pub fn sops_files(subjects: &[Subject<'_>], read: Read<'_>) -> Vec<Vec<Finding>> {
    let mut needed: BTreeMap<(PathBuf, Format), Vec<Need<'_>>> = BTreeMap::new();
    for (number, subject) in subjects.iter().enumerate() {
        for (order, file) in subject.plan.files.iter().enumerate() {
            let same_file = (file.path.components().collect(), file.format);
            needed.entry(same_file).or_default().push(Need { number, subject, order, file });
        }
    }
    let needed: Vec<Vec<Need<'_>>> = needed.into_values().collect();
    let found = parallel::each(needed.len(), |file| needed.get(file).map(|needs| of_file(needs, read)));
    let mut sorted: Vec<Vec<(usize, Finding)>> = subjects.iter().map(|_| Vec::new()).collect();
    for (number, order, finding) in found.into_iter().flatten().flatten() {
        if let Some(findings) = sorted.get_mut(number) {
            findings.push((order, finding));
        }
    }
    let in_order = |mut findings: Vec<(usize, Finding)>| {
        findings.sort_by_key(|(order, _)| *order);
        findings.into_iter().map(|(_, finding)| finding).collect()
    };
    sorted.into_iter().map(in_order).collect()
}

/// That one manifest needs a file.
struct Need<'a> {
    /// The manifest's position.
    number: usize,
    subject: &'a Subject<'a>,
    /// The file's position in its plan.
    order: usize,
    file: &'a SopsFile<'a>,
}

/// What is wrong with one file, by the position of the manifest and that of the file in its plan.
fn of_file(needs: &[Need<'_>], read: Read<'_>) -> Vec<(usize, usize, Finding)> {
    let Some(Need { file: SopsFile { path, format, .. }, .. }) = needs.first() else { return Vec::new() };
    let mut inspected = match open::inspect(path, *format, read) {
        Ok(inspected) => inspected,
        Err(error) => {
            let error = error.within(path.display()).in_file(path);
            let error = Arc::new(match needs {
                [need] => error.note(open::needed_by(need.subject.plan, need.file)),
                _ => error,
            });
            return needs.iter().map(|need| (need.number, need.order, Arc::clone(&error))).collect();
        }
    };
    let refused = std::mem::take(&mut inspected.refused).into_iter();
    let refused: Vec<Finding> = refused.map(|error| Arc::new(error.within(path.display()).in_file(path))).collect();
    let mut found = Vec::new();
    for Need { number, subject, order, file } in needs {
        found.extend(refused.iter().map(|error| (*number, *order, Arc::clone(error))));
        if let (Some(metadata), false) = (&inspected.metadata, subject.keys.names.is_empty())
            && let Err(error) = opens(metadata, subject.keys, file.path)
        {
            found.push((*number, *order, Arc::new(error.within(file.path.display()).in_file(file.path))));
        }
        let missing = missing(&inspected, subject.plan, file);
        found.extend(missing.map(|error| (*number, *order, Arc::new(error.in_file(file.path)))));
    }
    found
}

/// The keys of a file that a plan wants, and that lead nowhere.
fn missing<'a>(
    inspected: &'a Inspected,
    plan: &'a Plan<'_>,
    file: &'a SopsFile<'_>,
) -> impl Iterator<Item = Error> + use<'a> {
    let finder = inspected.finder();
    file.secrets.iter().filter_map(move |position| {
        let source = plan.targets.get(*position)?.source;
        let key = key_of(source)?;
        let error = inspected.find(&finder, key, file.path).err()?;
        Some(error.of(source).at_key(key))
    })
}

/// The key that must be there.
fn key_of(source: Source<'_>) -> Option<&KeyPath> {
    match source {
        Source::Secret(secret) => secret.key.must_exist(),
        Source::Template(_) => None,
    }
}

/// Whether whoever has these keys can open a file.
fn opens(metadata: &Metadata, keys: &HostKeys, path: &Path) -> Result<()> {
    const SHOWN: usize = 20;
    let is_named = |group: &&KeyGroup| group.0.iter().any(|key| keys.names.iter().any(|name| key.is_named(name)));
    let opened = metadata.key_groups.iter().filter(is_named).count();
    let needed = match (metadata.key_groups.len(), metadata.shamir_threshold) {
        (groups, 0) => groups,
        (_, threshold) => threshold,
    };
    if opened >= needed {
        return Ok(());
    }
    let keys_of_file = || metadata.key_groups.iter().flat_map(KeyGroup::in_order);
    if needed == 1 {
        let mut shown: Vec<String> = keys_of_file().take(SHOWN).map(ToString::to_string).collect();
        match keys_of_file().count().saturating_sub(SHOWN) {
            0 => {}
            more => shown.push(format!("and {more} more")),
        }
        return Err(Error::new("is not encrypted to this host").list("it is encrypted to", shown).help(format!(
            "to let this host in, add `{}` to .sops.yaml and run `sops updatekeys {}`",
            keys.shown,
            quoted(path)
        )));
    }
    let error = Error::new(format!("this host opens {opened} of its key groups, and {needed} are needed"));
    let error = error.list("its key groups are", open::groups(metadata)).help(format!(
        "to let this host in, add `{}` to {} more of its key groups in .sops.yaml and run `sops updatekeys {}`",
        keys.shown,
        needed - opened,
        quoted(path)
    ));
    Err(open::split_groups(error, metadata, path))
}

/// Makes sure that each template can be read and names only secrets of the manifest.
pub fn templates(manifest: &Manifest, plan: &Plan<'_>, read: Read<'_>) -> Vec<Finding> {
    let reader = match Reader::of(manifest) {
        Ok(reader) => reader,
        Err(error) => return vec![Arc::new(error)],
    };
    let check = |source: Source<'_>| {
        let Source::Template(template) = source else { return None };
        let parsed = template::text(&template.text, read)
            .and_then(|text| reader.parse(text.expose()).map(drop).map_err(|bad| bad.within(&template.text)));
        parsed.err().map(|error| Arc::new(error.of(source)))
    };
    plan.targets.iter().filter_map(|target| check(target.source)).collect()
}
