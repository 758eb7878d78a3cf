//! The list of what stands outside of the generations. It lies on a disk, since links outlive a reboot and the RAM file
//! system does not.

use crate::error::{Error, Result};
use crate::generation::new_name;
use crate::manifest::path::AbsolutePath;
use crate::record::State;
use crate::secret::SecretBytes;
use crate::system::root::Root;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The mode of the list: it names files in homes.
const MODE: u32 = 0o600;

/// The list, and where it lies.
pub(super) struct Ledger<'a> {
    root: &'a Root,
    /// Its directory; `None` where there is no place for it.
    directory: Option<PathBuf>,
    symlink_path: &'a AbsolutePath,
    /// What it says.
    pub(super) state: State,
    /// What it says on the disk.
    written: State,
    /// Whether it is there and could not be read. It is not written over then.
    is_unread: bool,
    /// Whether it is known that no run that was cut off left anything beside it.
    is_clear: bool,
}

impl<'a> Ledger<'a> {
    /// Reads the list.
    ///
    /// Where it cannot be read it is empty, and the error comes with it: it is not known what is ours then.
    pub(super) fn read(
        root: &'a Root,
        directory: Option<PathBuf>,
        symlink_path: &'a AbsolutePath,
    ) -> (Self, Option<Error>) {
        let empty = State::empty(symlink_path);
        let (state, written) = (empty.clone(), empty);
        let mut ledger = Self { root, directory, symlink_path, state, written, is_unread: false, is_clear: false };
        match ledger.read_state() {
            Ok(None) => (ledger, None),
            Ok(Some(state)) => {
                ledger.written = state.clone();
                ledger.state = state;
                (ledger, None)
            }
            Err(error) => {
                ledger.is_unread = true;
                (ledger, Some(error))
            }
        }
    }

    /// Whether it is known what is ours.
    pub(super) fn is_known(&self) -> bool {
        !self.is_unread
    }

    fn read_state(&self) -> Result<Option<State>> {
        let Self { root, directory, symlink_path, .. } = self;
        let Some(directory) = directory else { return Ok(None) };
        let found = root.find(directory).map_err(|error| error.within("the list of links cannot be read"))?;
        let Some(place) = found else { return Ok(None) };
        let name = State::file_name(symlink_path.as_path());
        let describe = || Error::new(format!("cannot read {}, the list of links", directory.join(&name).display()));
        let text = place
            .dir
            .read_text(OsStr::new(&name))
            .map_err(|error| describe().because(error).help("check who may read it"))?;
        let Some(text) = text else { return Ok(None) };
        let state: State = serde_json::from_str(&text).map_err(|error| {
            describe().because(error).help("move it away; links of secrets that are gone must then be removed by hand")
        })?;
        match state.symlink_path == **symlink_path {
            true => Ok(Some(state)),
            false => Err(describe()
                .because_text(format!("it is the list of {}", state.symlink_path))
                .help("move it away; links of secrets that are gone must then be removed by hand")),
        }
    }

    /// Writes the list, if it says something new. Otherwise only what a run left beside it that was cut off goes.
    pub(super) fn write(&mut self) -> Result<()> {
        if self.is_unread {
            return Ok(());
        }
        if self.state == self.written {
            return self.clear();
        }
        let Some(directory) = &self.directory else {
            return Err(Error::new("there is no place for the list of links")
                .help("set HOME or XDG_STATE_HOME; without the list, links are not removed after a reboot"));
        };
        let name = State::file_name(self.symlink_path.as_path());
        let describe = |why: anyhow::Error| {
            Error::new(format!("cannot write {}, the list of links", directory.join(&name).display()))
                .because(why)
                .help("without the list, links of secrets that are gone are not removed after a reboot")
        };
        let text = serde_json::to_string_pretty(&self.state).map_err(|error| describe(error.into()))?;
        let place = self.root.walk(directory)?;
        let text = SecretBytes::from(text + "\n");
        place.dir.replace_file(OsStr::new(&name), &text, None, MODE).map_err(|error| describe(error.into()))?;
        self.written = self.state.clone();
        self.is_clear = true;
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        if let Some(directory) = self.directory.as_ref().filter(|_| !self.is_clear)
            && let Some(place) = self.root.find(directory)?
        {
            let new = new_name(OsStr::new(&State::file_name(self.symlink_path.as_path())));
            place.dir.remove_all(&new).map_err(|error| {
                Error::new(format!("cannot remove {}", directory.join(&new).display()))
                    .because(error)
                    .help("remove it by hand; a run that was cut off left it")
            })?;
        }
        self.is_clear = true;
        Ok(())
    }
}

/// Where the list of root lies.
pub const OF_ROOT: &str = "/var/lib/sops-install";

/// Where the list lies: where systemd says, in root's directory, or with the user's own state (XDG base directories).
pub fn directory(of_root: bool, variable: &dyn Fn(&str) -> Option<PathBuf>, home: Option<&Path>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    absolute("STATE_DIRECTORY").or_else(|| match of_root {
        true => Some(PathBuf::from(OF_ROOT)),
        false => {
            let in_home = || home.map(|home| home.join(".local/state"));
            absolute("XDG_STATE_HOME").or_else(in_home).map(|state| state.join("sops-install"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_its_place() {
        let none = |_: &str| None;
        let of = |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.into());
        let home = Some(Path::new("/home/u"));
        assert_eq!(directory(true, &none, home), Some(OF_ROOT.into()));
        assert_eq!(directory(true, &of("STATE_DIRECTORY", "/x"), home), Some("/x".into()));
        assert_eq!(directory(false, &none, home), Some("/home/u/.local/state/sops-install".into()));
        assert_eq!(directory(false, &of("XDG_STATE_HOME", "/s"), home), Some("/s/sops-install".into()));
        assert_eq!(directory(false, &of("XDG_STATE_HOME", "s"), None), None);
    }
}
