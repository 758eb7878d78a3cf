//! The link to the live generation.

use crate::error::{Error, Result};
use crate::manifest::path::AbsolutePath;
use crate::system::dir::Standing;
use crate::system::root::{Place, Root};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// The directory in which the link to the live generation stands.
pub(super) struct Front<'a> {
    pub(super) root: &'a Root,
    pub(super) place: Place,
    pub(super) name: &'a OsStr,
    symlink_path: &'a AbsolutePath,
}

impl<'a> Front<'a> {
    /// Walks to it, and makes the directories that are missing.
    pub(super) fn open(root: &'a Root, symlink_path: &'a AbsolutePath) -> Result<Self> {
        let (place, name) = walk_to_parent(root, symlink_path.as_path())?;
        Ok(Self { root, place, name, symlink_path })
    }

    /// The same where it is there already.
    pub(super) fn find(root: &'a Root, symlink_path: &'a AbsolutePath) -> Result<Option<Self>> {
        let (parent, name) = parent_of(symlink_path.as_path())?;
        Ok(root.find(parent)?.map(|place| Self { root, place, name, symlink_path }))
    }

    /// The text of a link that stands in the directory `from` and leads to `to`, which lies behind the link to the live
    /// generation.
    pub(super) fn target(&self, from: &Path, to: &AbsolutePath) -> PathBuf {
        let behind = to.below(self.symlink_path).unwrap_or_default();
        self.link_text(from, &self.place.path.join(self.name).join(behind), to)
    }

    /// The text of the link `name` in a generation of the store at `store`. Which number that has makes no difference.
    pub(super) fn target_in(&self, store: &Path, name: &str, to: &AbsolutePath) -> PathBuf {
        let link = store.join("0").join(name);
        self.target(link.parent().unwrap_or(Path::new("/")), to)
    }

    /// The text of a link from the directory `from`. On the host it is the path as the manifest has it. Below another
    /// root it is relative and goes by the directories' true places: such a link leads to the same place from outside of
    /// that root and, when it has become `/`, from inside.
    pub(super) fn link_text(&self, from: &Path, to: &Path, as_written: &AbsolutePath) -> PathBuf {
        if self.root.is_host() {
            return as_written.as_path().to_owned();
        }
        let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
        let up = from.components().skip(shared).map(|_| Component::ParentDir);
        up.chain(to.components().skip(shared)).collect()
    }

    /// What stands in its place.
    pub(super) fn standing(&self) -> Result<Standing> {
        self.place.dir.look(self.name).map_err(|error| {
            Error::new(format!("cannot look at {}", self.symlink_path)).because(error).help("check who may look there")
        })
    }

    /// Whether a link that stands in the directory `from` leads to what is installed, whoever made it. One that goes up
    /// again on its way could lead anywhere.
    pub(super) fn leads_behind(&self, from: &Path, target: &Path) -> bool {
        if target.is_absolute() {
            return target.starts_with(self.symlink_path.as_path()) && !goes_up(target);
        }
        // Below another root links are relative, and begin by going up.
        let rest = target.components().skip_while(|part| *part == Component::ParentDir);
        let rest: PathBuf = rest.collect();
        let up = target.components().take_while(|part| *part == Component::ParentDir).count();
        let start = from.ancestors().nth(up).unwrap_or(Path::new("/"));
        !self.root.is_host() && !goes_up(&rest) && start.join(rest).starts_with(self.place.path.join(self.name))
    }
}

fn goes_up(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// Walks to the directory in which a path stands.
pub(super) fn walk_to_parent<'a>(root: &Root, path: &'a Path) -> Result<(Place, &'a OsStr)> {
    let (parent, name) = parent_of(path)?;
    Ok((root.walk(parent)?, name))
}

/// The directory in which a path stands, and its name there.
pub(super) fn parent_of(path: &Path) -> Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(Error::new(format!("{} has no directory above it", path.display())).help("choose another path")),
    }
}
