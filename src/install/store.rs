//! The directory that generations lie in, held for one run alone.

use super::front::walk_to_parent;
use crate::error::{Error, Result};
use crate::generation::{self, MARK, NEW_MARK};
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Manifest, Mode, Storage};
use crate::plan::{FileAccess, Plan};
use crate::secret::SecretBytes;
use crate::system::dir::{Dir, Standing};
use crate::system::lock::{Lock, lock};
use crate::system::mount::{self, Mounted};
use crate::system::root::{Place, Root};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The mode of a store, as sops-nix has it: all may pass, the group may list.
const STORE_MODE: u32 = 0o751;

/// The store, locked.
pub(super) struct Store {
    pub(super) dir: Dir,
    /// Its path below the root, after all links.
    pub(super) path: PathBuf,
    /// Whether it lies in memory, as far as that is known.
    pub(super) in_memory: bool,
    /// The generations that links of other manifests lead to.
    protected: Vec<u64>,
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
        let unsafe_place = || {
            Error::new(format!("{} lies where others than root can change things", path.display()))
                .help("choose a `secretsMountPoint` that only root can reach, such as /run/secrets.d")
        };
        if !is_safe(&walk_to_parent(root, path)?.0) {
            return Err(unsafe_place());
        }
        // The lock is that of the true directory, whatever links lead to it.
        let first = root.walk(path)?;
        let (Some(above), Some(name)) = (&first.above, first.path.file_name()) else {
            return Err(Error::new(format!("{} leads to the root directory", path.display()))
                .help("choose another `secretsMountPoint`"));
        };
        if !is_safe(&first) {
            return Err(unsafe_place());
        }
        let lock = lock(above, name, &mut || say("waiting for another run to finish")).map_err(describe)?;
        let mut place = root.walk(path)?;
        if place.path != first.path {
            return Err(Error::new(format!("{} was moved while it was walked to", path.display())).help("run it again"));
        }
        let mut is_new = first.made || place.made;
        let found = mount::mounted(&place.dir, place.above.as_ref()).map_err(describe)?;
        match (manifest.storage, found) {
            (Storage::UserDirectory, _) | (Storage::Ramfs, Mounted::Ramfs) | (Storage::Tmpfs, Mounted::Tmpfs) => {}
            // Mounting over it would hide the live generation before there is a new one.
            (_, Mounted::Ramfs | Mounted::Tmpfs) => say(&format!(
                "{} stays on the {} that is mounted there; `useTmpfs` takes effect when that is unmounted",
                path.display(),
                if found == Mounted::Ramfs { "ramfs" } else { "tmpfs" }
            )),
            (storage, Mounted::Nothing | Mounted::Other) => {
                if mount::mount(&place.dir, storage).map_err(|error| error.within(path.display()))? {
                    say("this kernel cannot keep a tmpfs out of swap: secrets may be written to a swap device");
                }
                place = root.walk(path)?;
                is_new = true;
            }
        }
        let dir = place.dir.reopen().map_err(describe)?;
        let mut store = Self { dir, path: place.path, in_memory: true, protected: Vec::new(), _lock: Some(lock) };
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
        Ok(Some(Self { dir: place.dir, path: place.path, in_memory: true, protected: Vec::new(), _lock: None }))
    }

    /// Locks the store that is there.
    pub(super) fn lock(root: &Root, mount_point: &AbsolutePath, say: &mut dyn FnMut(&str)) -> Result<Option<Self>> {
        let path = mount_point.as_path();
        let describe = |error: io::Error| {
            Error::new(format!("cannot use {}", path.display())).because(error).help("run it as the user who installs")
        };
        let Some(place) = root.find(path)? else { return Ok(None) };
        let (Some(above), Some(name)) = (&place.above, place.path.file_name()) else { return Ok(None) };
        let lock = lock(above, name, &mut || say("waiting for another run to finish")).map_err(describe)?;
        let dir = place.dir.reopen().map_err(describe)?;
        Ok(Some(Self { dir, path: place.path, in_memory: true, protected: Vec::new(), _lock: Some(lock) }))
    }

    /// Makes sure that this is a store, and marks it as one. `is_known` says that it cannot be anything else.
    fn take(&mut self, root: &Root, manifest: &Manifest, plan: &Plan<'_>, is_known: bool) -> Result<()> {
        let path = &manifest.mount_point;
        let describe = |error: io::Error| {
            Error::new(format!("cannot use {path}")).because(error).help("check what stands there and who owns it")
        };
        let mark = self.dir.read_text(OsStr::new(MARK)).map_err(describe)?;
        let serves = mark.is_some()
            || is_known
            || self.dir.names().map_err(describe)?.is_empty()
            // sops-nix leaves no mark.
            || self.generation_behind(root, manifest.symlink_path.as_path())?.is_some();
        if !serves {
            return Err(Error::new(format!("{path} holds files, and was not made for secrets"))
                .help("choose another `secretsMountPoint`, or empty it if it was"));
        }
        if plan.directories.is_some() || is_known || mark.is_none() {
            self.dir.set_access(plan.directories, STORE_MODE).map_err(describe)?;
        }
        let own = manifest.symlink_path.to_string();
        let mut links: Vec<String> = mark.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        for link in links.iter().filter(|link| **link != own) {
            self.protected.extend(self.generation_behind(root, Path::new(link))?);
        }
        if !links.contains(&own) {
            links.push(own);
            let text = SecretBytes::from(links.join("\n") + "\n");
            let new = OsStr::new(NEW_MARK);
            let access = FileAccess { ids: plan.directories, mode: Mode::PRIVATE };
            self.dir.remove_all(new).map_err(describe)?;
            self.dir.write_file(new, &text, access.ids, access.mode.bits()).map_err(describe)?;
            self.dir.rename(new, &self.dir, OsStr::new(MARK)).map_err(describe)?;
        }
        Ok(())
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
        // A link that leads where root does not go is none of ours.
        let Ok(Some(directory)) = root.find(directory) else { return Ok(None) };
        let is_here = same(&directory, &self.dir).map_err(describe)?;
        Ok(number.to_str().and_then(generation::number_of).filter(|_| is_here))
    }

    /// The names of all that lies in the store.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.dir.names()?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// Removes generations, but never one that another manifest's link leads to.
    pub(super) fn remove(&self, numbers: &[u64], path: &AbsolutePath) -> Result<()> {
        for number in numbers.iter().filter(|number| !self.protected.contains(number)) {
            self.dir.remove_all(OsStr::new(&number.to_string())).map_err(|error| {
                Error::new(format!("cannot remove the generation {number} in {path}"))
                    .because(error)
                    .help("remove it by hand, or run it again")
            })?;
        }
        Ok(())
    }
}

fn same(place: &Place, dir: &Dir) -> io::Result<bool> {
    let (a, b) = (place.dir.stat()?, dir.stat()?);
    Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}
