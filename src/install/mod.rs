//! Installs what a manifest names: the story of one run, step by step.
//!
//! Everything is decrypted, verified and rendered before the first byte is written; everything is written before the
//! swap; and the swap is one rename. Whatever fails before it leaves the live generation as it was.

mod store;

use crate::error::{Error, Result};
use crate::generation;
use crate::identity::host::Host;
use crate::identity::{Identities, Variables};
use crate::manifest::name::{Name, RENDERED};
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Manifest, TemplateText};
use crate::open::{self, Means};
use crate::plan::{self, FileAccess, Owners, Plan};
use crate::secret::SecretBytes;
use crate::system::link::{OnDirectory, place};
use crate::system::read::read;
use crate::system::root::{Place, Root};
use crate::system::stage::Stage;
use crate::template::Renderer;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use store::Store;

/// What a run needs to know besides the manifest.
pub struct Run<'a> {
    /// The directory below which everything is installed.
    pub root: &'a Root,
    /// How owners are found.
    pub owners: Owners<'a>,
    /// The variables of the environment that name key sources.
    pub variables: Variables,
    /// The machine that identities ask.
    pub host: Arc<dyn Host>,
    /// Takes what there is to say on the way.
    pub say: &'a mut dyn FnMut(&str),
}

/// What a run did.
#[derive(Debug)]
pub struct Installed {
    /// The number of the generation that is live now.
    pub generation: u64,
    /// How many secrets it holds.
    pub secrets: usize,
    /// How many templates it holds.
    pub templates: usize,
    /// How many sops files they came from.
    pub files: usize,
    /// How many master keys were opened for that.
    pub unwrapped: usize,
    /// What failed after the swap. The generation is live all the same.
    pub failed_after: Vec<Error>,
}

/// Installs.
///
/// # Errors
/// All that failed before the swap. The generation that was live before still is, and is complete.
pub fn install(manifest: &Manifest, run: &mut Run<'_>) -> std::result::Result<Installed, Vec<Error>> {
    let one = |error: Error| vec![error];
    let plan = plan::plan(manifest, &run.owners)?;
    let identities = identities(manifest, run).map_err(one)?;
    let files = contents(manifest, &plan, &identities, run)?;

    let root = run.root;
    let front = Front::open(root, &manifest.symlink_path).map_err(one)?;
    let store = Store::open(root, manifest, &plan, run).map_err(one)?;
    let live = store.generation_behind(root, manifest.symlink_path.as_path()).map_err(one)?;
    let number = stage(&store, live, manifest, &plan, &files, &front).map_err(one)?;
    let mut failed_after = Vec::from_iter(swap(&front, &store, manifest, number, run).map_err(one)?);

    failed_after.extend(links(&plan, &front, run));
    failed_after.extend(prune(&store, manifest, number).err());
    Ok(Installed {
        generation: number,
        secrets: plan.secrets.len(),
        templates: plan.templates.len(),
        files: plan.files.len(),
        unwrapped: identities.opened(),
        failed_after,
    })
}

/// One file of a generation, ready to be written.
struct Ready {
    name: String,
    bytes: SecretBytes,
    access: FileAccess,
}

fn identities(manifest: &Manifest, run: &mut Run<'_>) -> Result<Identities> {
    let mut variables = std::mem::take(&mut run.variables);
    if let Some(path) = &manifest.key_sources.environment_file {
        for (name, value) in environment_file(path)? {
            variables.entry(name).or_insert(SecretBytes::from(value));
        }
    }
    let identities = Identities::load(&manifest.key_sources, &variables, &run.host);
    if manifest.log.key_import {
        for identity in identities.found() {
            if let Some(key) = identity.imported_as() {
                (run.say)(&format!("Imported {} as {key}", identity.origin));
            }
        }
    }
    Ok(identities)
}

/// Reads a file of variables. It is text that an administrator writes, so quotes and `$NAME` have their usual meaning.
fn environment_file(path: &Path) -> Result<Vec<(String, String)>> {
    let fail = |why: anyhow::Error| {
        Error::new(format!("cannot read the environmentFile {}", path.display()))
            .because(why)
            .help("each line is NAME=value, or a comment that begins with #")
    };
    let bytes = read(path).map_err(|error| fail(error.into()))?;
    dotenvy::from_read_iter(bytes.expose())
        .map(|line| {
            line.map_err(|error| match error {
                // The text of this error holds the line, and the line may hold a key.
                dotenvy::Error::LineParse(..) => fail(anyhow::anyhow!("a line is not of that form")),
                error => fail(error.into()),
            })
        })
        .collect()
}

/// Decrypts and verifies every file, then renders the templates.
fn contents(
    manifest: &Manifest,
    plan: &Plan<'_>,
    identities: &Identities,
    run: &mut Run<'_>,
) -> std::result::Result<Vec<Ready>, Vec<Error>> {
    let opened = open::open(plan, &Means { keyring: identities, identities, read: &read })?;
    for notice in manifest.notices.iter().chain(&opened.notices) {
        (run.say)(notice);
    }
    for problem in identities.problems() {
        (run.say)(&format!("warning: a key source could not be used: {problem}"));
    }
    let mut rendered = render(manifest, plan, &opened.secrets)?;
    let secrets = plan.secrets.iter().zip(opened.secrets);
    let mut ready: Vec<Ready> =
        secrets.map(|(secret, bytes)| Ready { name: secret.name.to_string(), bytes, access: secret.access }).collect();
    ready.append(&mut rendered);
    // Neighbours go to one directory, which is opened once.
    ready.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(ready)
}

fn render(
    manifest: &Manifest,
    plan: &Plan<'_>,
    secrets: &[SecretBytes],
) -> std::result::Result<Vec<Ready>, Vec<Error>> {
    let Some(first) = manifest.templates.first() else { return Ok(Vec::new()) };
    let renderer = Renderer::new(&first.placeholders).map_err(|why| vec![Error::new(why)])?;
    let contents: BTreeMap<&Name, &SecretBytes> = plan.secrets.iter().map(|secret| secret.name).zip(secrets).collect();
    let (mut ready, mut errors) = (Vec::new(), Vec::new());
    for template in &plan.templates {
        let rendered = text_of(template.text).and_then(|text| {
            renderer.render(text.expose(), &contents).map_err(|unfilled| {
                Error::new(format!("line {}: `{}` is no secret of this manifest", unfilled.line, unfilled.secret))
                    .help("a template can use only secrets that are installed with it")
            })
        });
        match rendered {
            Ok(bytes) => {
                ready.push(Ready { name: format!("{RENDERED}/{}", template.name), bytes, access: template.access });
            }
            Err(error) => errors.push(error.within(format_args!("template `{}`", template.name))),
        }
    }
    if errors.is_empty() { Ok(ready) } else { Err(errors) }
}

fn text_of(text: &TemplateText) -> Result<SecretBytes> {
    match text {
        TemplateText::Inline(text) => Ok(SecretBytes::from(text.as_str())),
        TemplateText::File(path) => {
            read(path).map_err(|error| Error::new(format!("cannot read {}", path.display())).because(error))
        }
    }
}

/// Writes the new generation and gives it a number above all others. What a run that was cut off left above the live
/// generation goes first: it was never live.
fn stage(
    store: &Store,
    live: Option<u64>,
    manifest: &Manifest,
    plan: &Plan<'_>,
    files: &[Ready],
    front: &Front<'_>,
) -> Result<u64> {
    let describe =
        |error: io::Error| Error::new(format!("cannot write a generation in {}", manifest.mount_point)).because(error);
    if let Some(live) = live {
        store.remove(&generation::leftovers(&store.names().map_err(describe)?, live), &manifest.mount_point)?;
    }
    let number = generation::next(&store.names().map_err(describe)?, live)
        .ok_or_else(|| Error::new(format!("the generation numbers in {} are used up", manifest.mount_point)))?;
    let mut stage = Stage::begin(&store.dir, plan.directories).map_err(describe)?;
    let written = write(&mut stage, number, store, plan, files, front).and_then(|()| stage.finish(number));
    if written.is_err() {
        // Secrets that nobody will use do not stay. The error that is told says more than one of this removal would; what
        // is left in that case, the next run removes.
        let _ = stage.abandon();
    }
    written.map_err(describe).map(|()| number)
}

fn write(
    stage: &mut Stage<'_>,
    number: u64,
    store: &Store,
    plan: &Plan<'_>,
    files: &[Ready],
    front: &Front<'_>,
) -> io::Result<()> {
    for file in files {
        stage
            .file(&file.name, &file.bytes, file.access)
            .map_err(|error| io::Error::new(error.kind(), format!("the file `{}`: {error}", file.name)))?;
    }
    for link in &plan.inner_links {
        let above = store.path.join(number.to_string()).join(link.name.as_str());
        let target = front.target(above.parent().unwrap_or(Path::new("/")), &link.target);
        stage.link(link.name.as_str(), &target, link.ids)?;
    }
    Ok(())
}

/// Makes the new generation live, in one step. Gives what failed after that step.
fn swap(
    front: &Front<'_>,
    store: &Store,
    manifest: &Manifest,
    number: u64,
    run: &mut Run<'_>,
) -> Result<Option<Error>> {
    let path = &manifest.symlink_path;
    let target = front.link_text(&front.place.path, &store.path, &manifest.mount_point).join(number.to_string());
    let moved = &mut |backup: &OsStr| {
        let backup = path.as_path().with_file_name(backup);
        (run.say)(&format!("what stood at {path} is now {}", backup.display()));
    };
    let placed = place(&front.place.dir, front.name, &target, None, OnDirectory::MoveAside, moved);
    let is_live = store.generation_behind(front.root, path.as_path())? == Some(number);
    match (placed, is_live) {
        (Ok(()), true) => Ok(None),
        (Err(error), true) => Ok(Some(error.within(path))),
        (placed, false) => {
            // As above: the first error is the one that counts.
            let _ = store.remove(&[number], &manifest.mount_point);
            let lost = || Error::new("the link does not lead to the new generation").help("run it again");
            Err(placed.err().unwrap_or_else(lost).within(path))
        }
    }
}

/// Makes the links outside of the generation. One that fails does not keep the others from being made.
fn links(plan: &Plan<'_>, front: &Front<'_>, run: &mut Run<'_>) -> Vec<Error> {
    let mut errors = Vec::new();
    for link in &plan.links {
        let fail = |error: Error| error.within(format_args!("{}: {}", link.subject, link.path));
        let moved = &mut |backup: &OsStr| {
            let backup = link.path.as_path().with_file_name(backup);
            (run.say)(&format!("{}: what stood at {} is now {}", link.subject, link.path, backup.display()));
        };
        let made = walk_to_parent(front.root, link.path.as_path()).and_then(|(parent, name)| {
            let target = front.target(&parent.path, &link.target);
            place(&parent.dir, name, &target, link.ids, OnDirectory::Refuse, moved)
        });
        errors.extend(made.err().map(fail));
    }
    errors
}

/// Removes generations that are too old to be kept.
fn prune(store: &Store, manifest: &Manifest, live: u64) -> Result<()> {
    let names = store.names().map_err(|error| {
        Error::new(format!("cannot look for old generations in {}", manifest.mount_point)).because(error)
    })?;
    store.remove(&generation::prunable(&names, live, manifest.keep_generations), &manifest.mount_point)
}

/// The directory in which the link to the live generation stands.
struct Front<'a> {
    root: &'a Root,
    place: Place,
    name: &'a OsStr,
    symlink_path: &'a AbsolutePath,
}

impl<'a> Front<'a> {
    fn open(root: &'a Root, symlink_path: &'a AbsolutePath) -> Result<Self> {
        let (place, name) = walk_to_parent(root, symlink_path.as_path())?;
        Ok(Self { root, place, name, symlink_path })
    }

    /// The text of a link that stands in the directory `from` and leads to `to`, which lies behind the link to the live
    /// generation.
    fn target(&self, from: &Path, to: &AbsolutePath) -> PathBuf {
        let behind = to.below(self.symlink_path).unwrap_or_default();
        self.link_text(from, &self.place.path.join(self.name).join(behind), to)
    }

    /// The text of a link from the directory `from`. On the host it is the path as the manifest has it. Below another
    /// root it is relative and goes by the directories' true places: such a link leads to the same place from outside of
    /// that root and, when it has become `/`, from inside.
    fn link_text(&self, from: &Path, to: &Path, as_written: &AbsolutePath) -> PathBuf {
        if self.root.is_host() {
            return as_written.as_path().to_owned();
        }
        let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
        let up = from.components().skip(shared).map(|_| Component::ParentDir);
        up.chain(to.components().skip(shared)).collect()
    }
}

fn walk_to_parent<'a>(root: &Root, path: &'a Path) -> Result<(Place, &'a OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((root.walk(parent)?, name)),
        _ => Err(Error::new(format!("{} has no directory above it", path.display()))),
    }
}
