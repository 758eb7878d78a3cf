//! The directory that generations lie in, held for one run alone.

use super::front::walk_to_parent;
use super::live::Generation;
use crate::error::{Error, Result};
use crate::generation::{self, MARK, REMOVING, STAGING};
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Manifest, Mode, Storage};
use crate::plan::Plan;
use crate::record::Head;
use crate::secret::SecretBytes;
use crate::system::dir::{Dir, Standing};
use crate::system::lock::{Lock, lock};
use crate::system::mount::{self, Mounted};
use crate::system::root::{Place, Root};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The mode of a store, as sops-nix has it: all may pass, the group may list.
const STORE_MODE: u32 = 0o751;

/// What the links of the other manifests that a store serves lead to.
#[derive(Default)]
struct Others {
    /// The generations that they name, also where these are gone.
    named: Vec<u64>,
    /// Whether one of them could not be followed: its directory may be a user's. Generations that do not say whose they
    /// are, are then kept.
    is_unsure: bool,
}

/// The store, locked.
pub(super) struct Store {
    pub(super) dir: Rc<Dir>,
    /// Its path below the root, after all links.
    pub(super) path: PathBuf,
    /// Whether it lies in memory, as far as that is known.
    pub(super) in_memory: bool,
    /// What the links of other manifests lead to.
    others: Others,
    /// Held until the end of a run that changes something.
    _lock: Option<Lock>,
}

impl Store {
    /// Locks the store, mounts it where it is to be mounted, and makes sure that it is one.
    pub(super) fn open(root: &Root, manifest: &Manifest, plan: &Plan<'_>, say: &mut dyn FnMut(&str)) -> Result<Self> {
        let path = manifest.mount_point.as_path();
        let describe = |error: io::Error| {
            let error = Error::new(format!("cannot use {}", path.display())).because(error);
            error.help("check what stands there and who owns it, or choose another `secretsMountPoint`")
        };
        let is_safe = |place: &Place| manifest.storage == Storage::UserDirectory || place.trusted;
        if !is_safe(&walk_to_parent(root, path)?.0) {
            return Err(others_can_write(path));
        }
        // The lock is that of the true directory, whatever links lead to it.
        let first = root.walk(path)?;
        let (Some(above), Some(name)) = (&first.above, first.path.file_name()) else {
            return Err(Error::new(format!("{} leads to the root directory", path.display()))
                .help("choose another `secretsMountPoint`"));
        };
        if !is_safe(&first) {
            return Err(others_can_write(path));
        }
        let lock = lock(above, name, &mut || say("waiting for another run to finish")).map_err(describe)?;
        let mut place = root.walk(path)?;
        if place.path != first.path {
            return Err(Error::new(format!("{} was moved while it was walked to", path.display())).help("run it again"));
        }
        let mut is_new = first.made || place.made;
        let found = mount::mounted(&place.dir, place.above.as_deref()).map_err(describe)?;
        match (manifest.storage, found) {
            (Storage::UserDirectory, _) | (Storage::Ramfs, Mounted::Ramfs) | (Storage::Tmpfs, Mounted::Tmpfs) => {}
            // Mounting over it would hide the live generation before there is a new one.
            (_, Mounted::Ramfs | Mounted::Tmpfs) => say(&format!(
                "{} stays on the {} that is mounted there; `useTmpfs` takes effect when that is unmounted",
                path.display(),
                if found == Mounted::Ramfs { "ramfs" } else { "tmpfs" }
            )),
            (storage, Mounted::Nothing | Mounted::Other) => {
                // Mounting would hide what stands there, which may be anything.
                let names = place.dir.reopen().and_then(|dir| dir.names()).map_err(describe)?;
                if !names.iter().all(|name| name.to_str().is_some_and(generation::is_reserved)) {
                    return Err(not_for_secrets(&manifest.mount_point));
                }
                if mount::mount(&place.dir, storage).map_err(|error| error.within(path.display()))? {
                    say("this kernel cannot keep a tmpfs out of swap: secrets may be written to a swap device");
                }
                place = root.walk(path)?;
                is_new = true;
            }
        }
        let dir = Rc::new(place.dir.reopen().map_err(describe)?);
        check_owner(&dir, path)?;
        let mut store = Self { dir, path: place.path, in_memory: true, others: Others::default(), _lock: Some(lock) };
        let is_known = is_new || found == Mounted::Ramfs;
        store.take(root, manifest, plan, is_known)?;
        store.in_memory = mount::is_in_memory(&store.dir).map_err(describe)?;
        if manifest.storage == Storage::UserDirectory && !store.in_memory {
            say(&format!("{} is not in memory: secrets are written to a disk", path.display()));
        }
        Ok(store)
    }

    /// The store where it is there already, to be looked at alone: it is not locked, and nothing is mounted.
    pub(super) fn find(root: &Root, mount_point: &AbsolutePath) -> Result<Option<Self>> {
        let Some(place) = root.find(mount_point.as_path())? else { return Ok(None) };
        Ok(Some(Self { dir: place.dir, path: place.path, in_memory: true, others: Others::default(), _lock: None }))
    }

    /// Locks the store that is there. What lies in it is believed, so it must be this user's own.
    pub(super) fn lock(
        root: &Root,
        mount_point: &AbsolutePath,
        user_mode: bool,
        say: &mut dyn FnMut(&str),
    ) -> Result<Option<Self>> {
        let path = mount_point.as_path();
        let describe = |error: io::Error| {
            Error::new(format!("cannot use {}", path.display())).because(error).help("run it as the user who installs")
        };
        let Some(place) = root.find(path)? else { return Ok(None) };
        let (Some(above), Some(name)) = (&place.above, place.path.file_name()) else { return Ok(None) };
        if !user_mode && !place.trusted {
            return Err(others_can_write(path));
        }
        let dir = Rc::new(place.dir.reopen().map_err(describe)?);
        check_owner(&dir, path)?;
        if dir.read_text(OsStr::new(MARK)).map_err(describe)?.is_none() {
            return Ok(None);
        }
        let lock = lock(above, name, &mut || say("waiting for another run to finish")).map_err(describe)?;
        Ok(Some(Self { dir, path: place.path, in_memory: true, others: Others::default(), _lock: Some(lock) }))
    }

    /// Makes sure that this is a store, and marks it as one. `is_known` says that it cannot be anything else.
    fn take(&mut self, root: &Root, manifest: &Manifest, plan: &Plan<'_>, is_known: bool) -> Result<()> {
        let path = &manifest.mount_point;
        let describe = |error: io::Error| {
            Error::new(format!("cannot use {path}")).because(error).help("check what stands there and who owns it")
        };
        let mark = self.dir.read_text(OsStr::new(MARK)).map_err(describe)?;
        if !is_known && !self.serves(root, manifest, mark.is_some())? {
            return Err(not_for_secrets(path));
        }
        if plan.directories.is_some() || is_known || mark.is_none() {
            self.dir.set_access(plan.directories, STORE_MODE).map_err(describe)?;
        }
        let own = manifest.symlink_path.to_string();
        let mut links: Vec<String> = mark.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        for link in links.iter().filter(|link| **link != own) {
            match self.generation_behind(root, Path::new(link)) {
                Ok(named) => self.others.named.extend(named),
                Err(_) => self.others.is_unsure = true,
            }
        }
        if !links.contains(&own) {
            links.push(own);
            let text = SecretBytes::from(links.join("\n") + "\n");
            let mode = Mode::PRIVATE.bits();
            self.dir.replace_file(OsStr::new(MARK), &text, plan.directories, mode).map_err(describe)?;
        }
        Ok(())
    }

    /// Whether nothing stands there but what a store has.
    fn serves(&self, root: &Root, manifest: &Manifest, is_marked: bool) -> Result<bool> {
        let describe = |error: io::Error| {
            Error::new(format!("cannot look into {}", self.path.display()))
                .because(error)
                .help("run it as the user who installs")
        };
        Ok(is_marked
            || self.names().map_err(describe)?.iter().all(|name| generation::is_reserved(name))
            // sops-nix leaves no mark.
            || self.generation_behind(root, manifest.symlink_path.as_path())?.is_some())
    }

    /// Makes sure, without a lock, that an installation would not refuse the store. Where that cannot be told because it may
    /// not be looked into, it is left to the installation.
    pub(super) fn check(&self, root: &Root, manifest: &Manifest) -> Result<()> {
        let is_marked = self.dir.read_text(OsStr::new(MARK)).is_ok_and(|mark| mark.is_some());
        match mount::mounted(&self.dir, None) {
            Ok(Mounted::Ramfs) => Ok(()),
            _ if self.serves(root, manifest, is_marked).unwrap_or(true) => Ok(()),
            _ => Err(not_for_secrets(&manifest.mount_point)),
        }
    }

    /// The generation of this store that a link leads to, whatever path it takes.
    pub(super) fn generation_behind(&self, root: &Root, link: &Path) -> Result<Option<u64>> {
        let describe = |error: io::Error| {
            Error::new(format!("cannot read {}", link.display())).because(error).help("check what stands there")
        };
        let (Some(parent), Some(name)) = (link.parent(), link.file_name()) else { return Ok(None) };
        let Some(front) = root.find(parent)? else { return Ok(None) };
        if !matches!(front.dir.look(name).map_err(describe)?, Standing::Link) {
            return Ok(None);
        }
        let target = front.path.join(front.dir.read_link(name).map_err(describe)?);
        let (Some(directory), Some(number)) = (target.parent(), target.file_name()) else { return Ok(None) };
        // A link that leads where root does not go is none of ours. Of one that cannot be followed this is not known, and a
        // generation that seems not to be live may be removed.
        let Some(directory) = root.find_where_allowed(directory)? else { return Ok(None) };
        let is_here = same(&directory, &self.dir).map_err(describe)?;
        Ok(number.to_str().and_then(generation::number_of).filter(|_| is_here))
    }

    /// The live generation: the one that the link leads to, if it is still there and this link's. After a reboot a link on a
    /// disk leads to nothing, or to what another manifest has installed since.
    pub(super) fn live(&self, root: &Root, link: &AbsolutePath) -> Result<Option<Generation>> {
        let Some(number) = self.generation_behind(root, link.as_path())? else { return Ok(None) };
        let generation = Generation::open(&self.dir, number)?;
        let is_others = |head: &Head| head.symlink_path != *link;
        Ok(generation.filter(|generation| !generation.head().is_some_and(is_others)))
    }

    /// The highest number that a link of another manifest names. A new generation must not come to stand behind it.
    pub(super) fn highest_named(&self) -> Option<u64> {
        self.others.named.iter().copied().max()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.dir.names()?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// The numbers of all generations.
    pub(super) fn numbers(&self) -> Result<Vec<u64>> {
        let names = self.names().map_err(|error| {
            Error::new(format!("cannot look for generations in {}", self.path.display()))
                .because(error)
                .help("run it as the user who installs")
        })?;
        Ok(names.iter().filter_map(|name| generation::number_of(name)).collect())
    }

    /// The numbers of the generations that the link `own` made live, and of those that do not say which did, as sops-nix's,
    /// if no other link leads to them. `known` is one of them, so that what it says need not be read.
    pub(super) fn own_numbers(&self, own: &AbsolutePath, known: Option<u64>) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for number in self.numbers()? {
            if known == Some(number) {
                numbers.push(number);
                continue;
            }
            let generation = Generation::open(&self.dir, number)?;
            let is_own = match generation.as_ref().and_then(Generation::head) {
                Some(head) => head.symlink_path == *own,
                None => !self.others.is_unsure && !self.others.named.contains(&number),
            };
            if is_own {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// Removes generations, and what is left of a run that was cut off while it wrote or removed one.
    pub(super) fn remove(&self, numbers: &[u64]) -> Result<()> {
        let removing = OsStr::new(REMOVING);
        let describe = |error: io::Error| {
            Error::new(format!("cannot remove an old generation in {}", self.path.display()))
                .because(error)
                .help("remove it by hand, or run it again")
        };
        self.dir.remove_all(removing).map_err(describe)?;
        self.dir.remove_all(OsStr::new(STAGING)).map_err(describe)?;
        for number in numbers {
            // Half of one must not look like a whole one.
            self.dir.rename(OsStr::new(&number.to_string()), &self.dir, removing).map_err(describe)?;
            self.dir.remove_all(removing).map_err(describe)?;
        }
        Ok(())
    }
}

fn not_for_secrets(path: &AbsolutePath) -> Error {
    Error::new(format!("{path} holds files, and was not made for secrets"))
        .help("choose another `secretsMountPoint`, or empty it if it was")
}

fn others_can_write(path: &Path) -> Error {
    Error::new(format!("{} lies where others than root can change things", path.display()))
        .help("choose a `secretsMountPoint` that only root can reach, such as /run/secrets.d")
}

/// A store holds what is acted on, so nobody else may have made it.
fn check_owner(dir: &Dir, path: &Path) -> Result<()> {
    let stat = dir.stat().map_err(|error| {
        Error::new(format!("cannot look at {}", path.display())).because(error).help("run it again")
    })?;
    match stat.st_uid == users::get_effective_uid() {
        true => Ok(()),
        false => Err(Error::new(format!("{} belongs to another user", path.display()))
            .help("run it as that user, or choose another `secretsMountPoint`")),
    }
}

fn same(place: &Place, dir: &Dir) -> io::Result<bool> {
    let (a, b) = (place.dir.stat()?, dir.stat()?);
    Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}
