//! What the files of a generation are to hold: decrypted, verified and rendered, before anything is written.

use super::Run;
use super::steps::Milliseconds;
use crate::error::{Error, Result};
use crate::identity::Identities;
use crate::manifest::name::Name;
use crate::manifest::{Manifest, Template};
use crate::open::{self, Means, Opened};
use crate::plan::{Failure, Plan, Source};
use crate::secret::SecretBytes;
use crate::system::machine::SECRET_VARIABLES;
use crate::system::read::read;
use crate::template::{self, Reader};
use std::collections::BTreeMap;
use std::path::Path;

/// What there is to install.
pub(super) struct Contents {
    /// The bytes of each target, in the order of [`Plan::targets`]; `None` where it failed.
    pub(super) bytes: Vec<Option<SecretBytes>>,
    /// What failed, in the order in which it is told.
    pub(super) failures: Vec<Failure>,
    /// How many master keys were opened.
    pub(super) unwrapped: usize,
}

/// Decrypts and verifies every file, then renders the templates.
///
/// # Errors
/// What keeps everything from being opened.
pub(super) fn contents(manifest: &Manifest, plan: &mut Plan<'_>, run: &mut Run<'_>) -> Result<Contents> {
    let identities = identities(manifest, run)?;
    run.steps.end("keys");
    let opened = open::open(plan, &Means { keyring: &identities, identities: &identities, read: &read });
    run.steps.end("decryption");
    if run.verbose {
        for Opened { path, by, took } in &opened.opened {
            let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(" and ")) };
            (run.site.say)(&format!("{} was opened{by}, in {}", path.display(), Milliseconds(*took)));
        }
    }
    for notice in &opened.notices {
        (run.site.say)(notice);
    }
    // Where nothing opens, the errors tell of them.
    if !opened.secrets.is_empty() {
        for problem in identities.problems() {
            (run.site.say)(&format!("warning: a key source could not be used: {problem}"));
        }
    }
    let mut failures = std::mem::take(&mut plan.failures);
    failures.extend(opened.failures);
    let bytes = plan.targets.iter().map(|_| None).collect();
    let mut contents = Contents { bytes, failures, unwrapped: identities.opened() };
    opened.secrets.into_iter().for_each(|(position, bytes)| contents.put(position, bytes));
    let rendered = render(manifest, plan, &contents.bytes)?;
    for (position, result) in rendered {
        match result {
            Ok(bytes) => contents.put(position, bytes),
            Err(error) => contents.failures.push(Failure { targets: vec![position], error }),
        }
    }
    Ok(contents)
}

impl Contents {
    fn put(&mut self, position: usize, bytes: SecretBytes) {
        if let Some(place) = self.bytes.get_mut(position) {
            *place = Some(bytes);
        }
    }
}

fn identities(manifest: &Manifest, run: &mut Run<'_>) -> Result<Identities> {
    let mut variables = std::mem::take(&mut run.variables);
    if let Some(path) = &manifest.key_sources.environment_file {
        for (name, value) in environment_file(path)? {
            // As with other files of this kind, what is set already stays.
            if std::env::var_os(&name).is_none() && !variables.contains_key(&name) {
                if !SECRET_VARIABLES.contains(&name.as_str()) {
                    (run.export)(&name, &value);
                }
                variables.insert(name, SecretBytes::from(value));
            }
        }
    }
    let identities = Identities::load(&manifest.key_sources, &variables, &run.site.host);
    if manifest.log.key_import {
        for identity in identities.found() {
            if let Some(key) = identity.imported_as() {
                (run.site.say)(&format!("Imported {} as {key}", identity.origin));
            }
        }
    }
    Ok(identities)
}

/// Reads a file of variables. It is text that an administrator writes, so quotes and `$NAME` have their usual meaning.
fn environment_file(path: &Path) -> Result<Vec<(String, String)>> {
    let describe =
        |why: anyhow::Error| Error::new(format!("cannot read the environmentFile {}", path.display())).because(why);
    let fail = |why| describe(why).help("each line is NAME=value, or a comment that begins with #");
    let bytes =
        read(path).map_err(|error| describe(error.into()).help("check the path of the file, and who may read it"))?;
    // An editor's byte order mark is no part of the first name, and neither a name nor a value can hold a NUL byte.
    let text = bytes.expose().strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes.expose());
    if text.contains(&0) {
        return Err(fail(anyhow::anyhow!("it holds a NUL byte")));
    }
    dotenvy::from_read_iter(text)
        .map(|line| {
            line.map_err(|error| match error {
                // The text of this error holds the line, and the line may hold a key.
                dotenvy::Error::LineParse(..) => fail(anyhow::anyhow!("a line is not NAME=value")),
                error => fail(error.into()),
            })
        })
        .collect()
}

/// Each template with its position.
fn render(
    manifest: &Manifest,
    plan: &Plan<'_>,
    bytes: &[Option<SecretBytes>],
) -> Result<Vec<(usize, Result<SecretBytes>)>> {
    // sops-nix's modules name a placeholder for each secret, and to get ready to find them takes time.
    if manifest.templates.is_empty() {
        return Ok(Vec::new());
    }
    let reader = Reader::of(manifest)?;
    let contents: BTreeMap<&Name, &SecretBytes> = plan
        .targets
        .iter()
        .zip(bytes)
        .filter_map(|(target, bytes)| match target.source {
            Source::Secret(secret) => Some((&secret.name, bytes.as_ref()?)),
            Source::Template(_) => None,
        })
        .collect();
    let targets = plan.targets.iter().enumerate();
    Ok(targets
        .filter_map(|(position, target)| match (target.source, target.access) {
            (source @ Source::Template(template), Some(_)) => {
                Some((position, render_one(&reader, template, &contents).map_err(|error| error.of(source))))
            }
            _ => None,
        })
        .collect())
}

fn render_one(
    reader: &Reader<'_>,
    template: &Template,
    contents: &BTreeMap<&Name, &SecretBytes>,
) -> Result<SecretBytes> {
    let text = template::text(&template.text, &read)?;
    let parsed = reader.parse(text.expose());
    parsed.and_then(|parsed| parsed.render(text.expose(), contents)).map_err(|bad| bad.within(&template.text))
}
