//! What the files of a generation are to hold: decrypted, verified and rendered, before anything is written.

use super::Run;
use super::origin::Sources;
use super::steps::Milliseconds;
use crate::error::{Error, Result};
use crate::identity::{Identities, Identity};
use crate::manifest::name::Name;
use crate::manifest::{Manifest, Template};
use crate::open::{self, Means, Opened};
use crate::plan::{Failure, Plan, Source};
use crate::secret::SecretBytes;
use crate::system::machine::SECRET_VARIABLES;
use crate::system::read::read;
use crate::template::{self, Reader};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What there is to install.
pub(super) struct Contents {
    /// The bytes of each target, in the order of [`Plan::targets`]; `None` where it failed.
    pub(super) bytes: Vec<Option<SecretBytes>>,
    /// What failed, in the order in which it is told.
    pub(super) failures: Vec<Failure>,
    /// What it was made of, where that is to be written down and all is as it is to be.
    pub(super) inputs: Option<String>,
}

/// Decrypts and verifies every file, then renders the templates.
///
/// # Errors
/// What keeps every template from being rendered.
pub(super) fn contents(
    manifest: &Manifest,
    plan: &mut Plan<'_>,
    identities: &Identities,
    sources: &Sources,
    run: &mut Run<'_>,
) -> Result<Contents> {
    let read = |path: &Path| sources.read(path);
    let open_large = |path: &Path| sources.open_large(path);
    let opened = open::open(plan, &Means { keyring: identities, identities, read: &read, open_large: &open_large });
    run.steps.end("decryption");
    tell_opened(&opened.opened, identities, run);
    for notice in &opened.notices {
        (run.site.say)(notice);
    }
    // Where nothing opens, the errors tell of them.
    if !opened.secrets.is_empty() {
        tell_problems(identities, run);
    }
    let mut failures = std::mem::take(&mut plan.failures);
    failures.extend(opened.failures);
    let bytes = plan.targets.iter().map(|_| None).collect();
    let mut contents = Contents { bytes, failures, inputs: None };
    opened.secrets.into_iter().for_each(|(position, bytes)| contents.put(position, bytes));
    let rendered = render(manifest, plan, &contents.bytes, &read)?;
    for (position, result) in rendered {
        match result {
            Ok(bytes) => contents.put(position, bytes),
            Err(error) => contents.failures.push(Failure { targets: vec![position], error }),
        }
    }
    // What is told in every run is told only where everything is done in every run.
    if contents.failures.is_empty() && opened.notices.is_empty() {
        contents.inputs = sources.inputs();
    }
    Ok(contents)
}

/// Tells which identity opened which file, where that is asked for.
pub(super) fn tell_opened(opened: &[Opened], identities: &Identities, run: &mut Run<'_>) {
    if run.verbose {
        for Opened { path, by, took } in opened {
            let by = by.iter().filter_map(|number| identities.found().get(*number)).map(Identity::described);
            let by: Vec<String> = by.collect();
            let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(" and ")) };
            (run.site.say)(&format!("{} was opened{by}, in {}", path.display(), Milliseconds(*took)));
        }
    }
}

/// Tells of the key sources that could not be used.
pub(super) fn tell_problems(identities: &Identities, run: &mut Run<'_>) {
    for problem in identities.problems() {
        (run.site.say)(&format!("warning: a key source could not be used: {problem}"));
    }
}

impl Contents {
    fn put(&mut self, position: usize, bytes: SecretBytes) {
        if let Some(place) = self.bytes.get_mut(position) {
            *place = Some(bytes);
        }
    }
}

/// Loads the identities of a manifest and of the environment.
///
/// # Errors
/// Its file of variables cannot be read.
pub(super) fn identities(manifest: &Manifest, run: &mut Run<'_>) -> Result<Identities> {
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
    read: &dyn Fn(&Path) -> io::Result<SecretBytes>,
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
                Some((position, render_one(&reader, template, &contents, read).map_err(|error| error.of(source))))
            }
            _ => None,
        })
        .collect())
}

fn render_one(
    reader: &Reader<'_>,
    template: &Template,
    contents: &BTreeMap<&Name, &SecretBytes>,
    read: &dyn Fn(&Path) -> io::Result<SecretBytes>,
) -> Result<SecretBytes> {
    let text = template::text(&template.text, read)?;
    let parsed = reader.parse(text.expose());
    parsed.and_then(|parsed| parsed.render(text.expose(), contents)).map_err(|bad| bad.within(&template.text))
}
