//! Users and groups of the host, by its name services.

use crate::plan::{Accounts, Ids};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The accounts of the host that this runs on.
pub struct HostAccounts;

impl Accounts for HostAccounts {
    fn user(&self, name: &str) -> io::Result<Option<Ids>> {
        let user = nix::unistd::User::from_name(name)?;
        Ok(user.map(|user| Ids { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }

    fn group(&self, name: &str) -> io::Result<Option<u32>> {
        Ok(nix::unistd::Group::from_name(name)?.map(|group| group.gid.as_raw()))
    }

    fn known(&self) -> Vec<String> {
        names_in(Path::new("/etc"))
    }
}

/// The accounts of an image: those that its own `etc/passwd` and `etc/group` list.
pub struct Image(PathBuf);

impl Image {
    /// The image below `root`, or `None` where it lists no accounts.
    pub fn below(root: &Path) -> Option<Self> {
        let etc = root.join("etc");
        (etc.join("passwd").exists() || etc.join("group").exists()).then_some(Self(etc))
    }

    /// The numbers behind `name` in `file`, whose lines are fields parted by colons.
    fn find(&self, file: &str, name: &str) -> io::Result<Option<(u32, Option<u32>)>> {
        let text = match fs::read_to_string(self.0.join(file)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(line) = text.lines().find(|line| line.split(':').next() == Some(name)) else { return Ok(None) };
        let mut numbers = line.split(':').skip(2).map(|field| field.parse().ok());
        match numbers.next().flatten() {
            Some(id) => Ok(Some((id, numbers.next().flatten()))),
            None => Err(io::Error::other(format!("the line of `{name}` in {file} holds no number"))),
        }
    }
}

impl Accounts for Image {
    fn user(&self, name: &str) -> io::Result<Option<Ids>> {
        let found = self.find("passwd", name)?;
        Ok(found.and_then(|(uid, gid)| gid.map(|gid| Ids { uid, gid })))
    }

    fn group(&self, name: &str) -> io::Result<Option<u32>> {
        Ok(self.find("group", name)?.map(|(gid, _)| gid))
    }

    fn known(&self) -> Vec<String> {
        names_in(&self.0)
    }
}

/// The names that the files below `etc` list. They serve for suggestions only, so a file that cannot be read is none.
fn names_in(etc: &Path) -> Vec<String> {
    let files = ["passwd", "group"].map(|file| fs::read_to_string(etc.join(file)).unwrap_or_default());
    files.iter().flat_map(|text| text.lines()).filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_own_accounts() {
        let root = tempfile::tempdir().unwrap();
        assert!(Image::below(root.path()).is_none());
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\nbad:x\n").unwrap();
        let image = Image::below(root.path()).unwrap();
        assert_eq!(image.user("web").unwrap(), Some(Ids { uid: 33, gid: 34 }));
        assert_eq!(image.user("we").unwrap(), None);
        assert!(image.user("bad").is_err());
        assert_eq!(image.group("web").unwrap(), None);
        assert_eq!(image.known(), ["root", "web", "bad"]);
    }

    #[test]
    fn the_host_tells_what_does_not_exist() {
        assert_eq!(HostAccounts.user("root").unwrap(), Some(Ids { uid: 0, gid: 0 }));
        assert_eq!(HostAccounts.user("no-such-user-here").unwrap(), None);
        assert_eq!(HostAccounts.group("no-such-group-here").unwrap(), None);
    }
}
