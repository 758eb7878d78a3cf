//! Installs what a manifest names: the story of one run, step by step.
//!
//! Everything is decrypted, verified and rendered before the first byte is written; everything is written before the
//! swap; and the swap is one rename. Whatever fails before it leaves the live generation as it was.

use crate::error::{Error, Result};
use crate::generation;
use crate::identity::host::Host;
use crate::identity::{Identities, Variables};
use crate::manifest::name::{Name, RENDERED};
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Manifest, Storage, TemplateText};
use crate::open::{self, Means};
use crate::plan::{self, FileAccess, Link, Owners, Plan};
use crate::secret::SecretBytes;
use crate::system::dir::{Dir, Standing};
use crate::system::link::{OnDirectory, Placed, place};
use crate::system::lock::{Lock, lock};
use crate::system::mount::{self, Mounted, mount};
use crate::system::read::read;
use crate::system::root::{Place, Root};
use crate::system::stage::Stage;
use crate::template::Renderer;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What a run needs to know besides the manifest.
pub struct Run<'a> {
    /// The directory below which everything is installed; `/` for the host itself.
    pub root: &'a Path,
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

    let root = Root::open(run.root).map_err(one)?;
    let store = Store::open(&root, manifest, &plan, run).map_err(one)?;
    let front = Front::open(&root, manifest).map_err(one)?;
    let number = stage(&store, &front, manifest, &plan, &files, &root).map_err(one)?;
    swap(&front, manifest, number, &root).map_err(one)?;

    let mut failed_after = links(&plan, &root, run);
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
            if let Some(recipient) = identity.recipient() {
                (run.say)(&format!("Imported {} as age key with fingerprint {recipient}", identity.origin));
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

/// The directory that generations lie in, held for this run alone.
struct Store {
    dir: Dir,
    _locks: Vec<Lock>,
}

impl Store {
    /// Opens, locks and mounts. While this run waited for the lock, another may have mounted a file system over what it
    /// locked; so it looks again until what it holds is what stands there.
    fn open(root: &Root, manifest: &Manifest, plan: &Plan<'_>, run: &mut Run<'_>) -> Result<Self> {
        let path = manifest.mount_point.as_path();
        let describe = |error: io::Error| Error::new(format!("cannot use {}", path.display())).because(error);
        let mut locks = Vec::new();
        let mut walked = root.walk(path)?;
        loop {
            let wait = &mut || (run.say)("waiting for another run to finish");
            let held = lock(&walked.dir, wait).map_err(describe)?;
            let now = root.walk(path)?;
            if !same(&walked.dir, &now.dir).map_err(describe)? {
                walked = now;
                continue;
            }
            locks.push(held);
            let mounted =
                mount(&now.dir, &now.above, manifest.storage).map_err(|error| error.within(path.display()))?;
            if let Mounted::Now { swappable } = mounted {
                if swappable {
                    (run.say)("this kernel cannot keep a tmpfs out of swap: secrets may be written to a swap device");
                }
                walked = root.walk(path)?;
                continue;
            }
            let dir = now.dir.reopen().map_err(describe)?;
            match plan.directories {
                Some(_) => dir.set_access(plan.directories, 0o751).map_err(describe)?,
                None if walked.made => dir.set_access(None, 0o751).map_err(describe)?,
                None => {}
            }
            if manifest.storage == Storage::UserDirectory && !mount::is_in_memory(&dir).map_err(describe)? {
                (run.say)(&format!("{} is not in memory: secrets are written to a disk", path.display()));
            }
            return Ok(Self { dir, _locks: locks });
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.dir.names()?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }
}

fn same(a: &Dir, b: &Dir) -> io::Result<bool> {
    let (a, b) = (a.stat()?, b.stat()?);
    Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

/// The directory in which the link to the live generation stands.
struct Front {
    place: Place,
    name: std::ffi::OsString,
    /// The number of the live generation, if there is one.
    live: Option<u64>,
}

impl Front {
    fn open(root: &Root, manifest: &Manifest) -> Result<Self> {
        let path = manifest.symlink_path.as_path();
        let (place, name) = walk_to_parent(root, path)?;
        let describe = |error: io::Error| Error::new(format!("cannot read {}", path.display())).because(error);
        let live = match place.dir.look(name).map_err(describe)? {
            Standing::Link => {
                let target = place.dir.read_link(name).map_err(describe)?;
                generation::live(&lexical(&place.path.join(target)), &manifest.mount_point)
            }
            _ => None,
        };
        Ok(Self { name: name.to_owned(), place, live })
    }
}

/// Writes the new generation and gives it its number, the one after the live generation's. What a run that was cut off
/// left above that goes first: it was never live.
fn stage(
    store: &Store,
    front: &Front,
    manifest: &Manifest,
    plan: &Plan<'_>,
    files: &[Ready],
    root: &Root,
) -> Result<u64> {
    let describe =
        |error: io::Error| Error::new(format!("cannot write a generation in {}", manifest.mount_point)).because(error);
    let live = front.live.unwrap_or(0);
    let number = live.checked_add(1).ok_or_else(|| Error::new("generation numbers are used up"))?;
    for leftover in generation::leftovers(&store.names().map_err(describe)?, live) {
        store.dir.remove_all(OsStr::new(&leftover.to_string())).map_err(describe)?;
    }
    let mut stage = Stage::begin(&store.dir, plan.directories).map_err(describe)?;
    for file in files {
        stage
            .file(&file.name, &file.bytes, file.access)
            .map_err(|error| describe(error).within(format_args!("file `{}`", file.name)))?;
    }
    for link in &plan.inner_links {
        let place = manifest.mount_point.join(&format!("{number}/{}", link.name));
        let above = place.as_path().parent().unwrap_or(Path::new("/"));
        let target = link_text(root, above, &link.target);
        stage.link(link.name.as_str(), &target, link.ids).map_err(describe)?;
    }
    stage.finish(number).map_err(describe)?;
    Ok(number)
}

/// Makes the new generation live, in one step.
fn swap(front: &Front, manifest: &Manifest, number: u64, root: &Root) -> Result<()> {
    let target = link_text(root, &front.place.path, &manifest.mount_point.join(&number.to_string()));
    place(&front.place.dir, &front.name, &target, None, OnDirectory::Replace)
        .map(drop)
        .map_err(|error| error.within(&manifest.symlink_path))
}

/// Makes the links outside of the generation. One that fails does not keep the others from being made.
fn links(plan: &Plan<'_>, root: &Root, run: &mut Run<'_>) -> Vec<Error> {
    plan.links
        .iter()
        .filter_map(|link| {
            let fail = |error: Error| error.within(format_args!("{}: {}", link.subject, link.path));
            match make_link(link, root) {
                Ok(Placed::Unchanged | Placed::Linked) => None,
                Ok(Placed::MovedAside(backup)) => {
                    let backup = link.path.as_path().with_file_name(backup);
                    (run.say)(&format!(
                        "{}: the file that stood at {} is now {}",
                        link.subject,
                        link.path,
                        backup.display()
                    ));
                    None
                }
                Err(error) => Some(fail(error)),
            }
        })
        .collect()
}

fn make_link(link: &Link, root: &Root) -> Result<Placed> {
    let (parent, name) = walk_to_parent(root, link.path.as_path())?;
    let target = link_text(root, &parent.path, &link.target);
    place(&parent.dir, name, &target, link.ids, OnDirectory::Refuse)
}

/// Removes generations that are too old to be kept.
fn prune(store: &Store, manifest: &Manifest, live: u64) -> Result<()> {
    let describe = |error: io::Error| {
        Error::new(format!("cannot remove old generations in {}", manifest.mount_point)).because(error)
    };
    for old in generation::prunable(&store.names().map_err(describe)?, live, manifest.keep_generations) {
        store.dir.remove_all(OsStr::new(&old.to_string())).map_err(describe)?;
    }
    Ok(())
}

fn walk_to_parent<'a>(root: &Root, path: &'a Path) -> Result<(Place, &'a OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((root.walk(parent)?, name)),
        _ => Err(Error::new(format!("{} has no directory above it", path.display()))),
    }
}

/// The text of a link that stands in the directory `from` and leads to `to`. On the host it is the absolute path. Below
/// another root it is relative: such a link leads to the same place from outside of that root and, when it has become
/// `/`, from inside.
fn link_text(root: &Root, from: &Path, to: &AbsolutePath) -> PathBuf {
    let to = to.as_path();
    if root.is_host() {
        return to.to_owned();
    }
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

/// Resolves `..` in a path by its text.
fn lexical(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            part => resolved.push(part),
        }
    }
    resolved
}
