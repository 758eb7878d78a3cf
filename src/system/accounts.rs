//! Users and groups of the host, by its name services.

use super::root::Root;
use crate::error::{Error, Result};
use crate::plan::{Accounts, Ids};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// The accounts of the host that this runs on.
pub struct HostAccounts;

impl Accounts for HostAccounts {
    fn user(&self, name: &str) -> io::Result<Option<Ids>> {
        if let Some(user) = nix::unistd::User::from_name(name)? {
            return Ok(Some(Ids { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
        }
        Ok(elsewhere("passwd", name)?.and_then(|(uid, gid)| gid.map(|gid| Ids { uid, gid })))
    }

    fn group(&self, name: &str) -> io::Result<Option<u32>> {
        if let Some(group) = nix::unistd::Group::from_name(name)? {
            return Ok(Some(group.gid.as_raw()));
        }
        Ok(elsewhere("group", name)?.map(|(gid, _)| gid))
    }

    fn local_group(&self, name: &str) -> io::Result<Option<u32>> {
        match fs::read("/etc/group") {
            Ok(groups) => Ok(find(&String::from_utf8_lossy(&groups), name)?.map(|(gid, _)| gid)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn known(&self) -> Vec<String> {
        // They serve for suggestions only, so a file that cannot be read is none.
        let files = ["/etc/passwd", "/etc/group"].map(|file| fs::read_to_string(file).unwrap_or_default());
        files.iter().flat_map(|text| names_in(text)).collect()
    }
}

/// The numbers of an account that the C library did not find. musl's reads `/etc/passwd` and `/etc/group`, and asks `nscd` where
/// that runs; a directory service knows more, and `getent`, which comes with the C library of such a machine, asks it. glibc has
/// asked already.
fn elsewhere(database: &str, name: &str) -> io::Result<Option<(u32, Option<u32>)>> {
    if cfg!(target_env = "musl") { ask_getent("getent", database, name) } else { Ok(None) }
}

/// What `getent` knows of a name; nothing where there is no such program.
fn ask_getent(program: &str, database: &str, name: &str) -> io::Result<Option<(u32, Option<u32>)>> {
    /// `getent` ends with it where it found nothing.
    const UNKNOWN: i32 = 2;
    let asked = Command::new(program).args([database, "--", name]).stdin(Stdio::null()).output();
    let answer = match asked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        asked => asked?,
    };
    match answer.status.code() {
        // It takes a number for the number of an account, which has another name.
        Some(0) => find(&String::from_utf8_lossy(&answer.stdout), name),
        Some(UNKNOWN) => Ok(None),
        _ => {
            let said = String::from_utf8_lossy(&answer.stderr);
            let said = said.lines().last().unwrap_or("it said nothing").trim();
            Err(io::Error::other(format!("getent {database} failed ({}): {said}", answer.status)))
        }
    }
}

/// The accounts of an image: those that its own `etc/passwd` and `etc/group` list.
pub struct Image {
    users: String,
    groups: String,
}

/// The accounts of another host, as far as its lists of them are at hand. Where there is no list of groups, every group is
/// taken to exist.
pub struct Listed {
    lists: Image,
    has_groups: bool,
}

impl Listed {
    /// The accounts of a host's `passwd` and `group`.
    pub fn new(users: String, groups: Option<String>) -> Self {
        Self { has_groups: groups.is_some(), lists: Image { users, groups: groups.unwrap_or_default() } }
    }
}

impl Accounts for Listed {
    fn user(&self, name: &str) -> io::Result<Option<Ids>> {
        self.lists.user(name)
    }

    fn group(&self, name: &str) -> io::Result<Option<u32>> {
        if self.has_groups { self.lists.group(name) } else { Ok(Some(0)) }
    }

    fn known(&self) -> Vec<String> {
        self.lists.known()
    }
}

impl Image {
    /// The image below `root`, or `None` where it lists no accounts. Its files are reached as everything below the root
    /// is: a link in it does not lead to the host's.
    pub fn below(root: &Root) -> Result<Option<Self>> {
        let Some(etc) = root.find(Path::new("/etc"))? else { return Ok(None) };
        let read = |name: &str| {
            etc.dir
                .read_text(OsStr::new(name))
                .map_err(|error| Error::new(format!("cannot read /etc/{name} below the root")).because(error))
        };
        Ok(match (read("passwd")?, read("group")?) {
            (None, None) => None,
            (users, groups) => Some(Self { users: users.unwrap_or_default(), groups: groups.unwrap_or_default() }),
        })
    }
}

/// The numbers behind `name` in a text whose lines are fields parted by colons.
fn find(text: &str, name: &str) -> io::Result<Option<(u32, Option<u32>)>> {
    let Some(line) = text.lines().find(|line| line.split(':').next() == Some(name)) else { return Ok(None) };
    let mut numbers = line.split(':').skip(2).map(|field| field.parse().ok());
    match numbers.next().flatten() {
        Some(id) => Ok(Some((id, numbers.next().flatten()))),
        None => Err(io::Error::other(format!("the line of `{name}` holds no number"))),
    }
}

impl Accounts for Image {
    fn user(&self, name: &str) -> io::Result<Option<Ids>> {
        let found = find(&self.users, name)?;
        Ok(found.and_then(|(uid, gid)| gid.map(|gid| Ids { uid, gid })))
    }

    fn group(&self, name: &str) -> io::Result<Option<u32>> {
        Ok(find(&self.groups, name)?.map(|(gid, _)| gid))
    }

    fn known(&self) -> Vec<String> {
        names_in(&self.users).chain(names_in(&self.groups)).collect()
    }
}

/// The names that a list of accounts begins its lines with.
fn names_in(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_own_accounts() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        assert!(Image::below(&root).unwrap().is_none());
        fs::create_dir(directory.path().join("etc")).unwrap();
        fs::write(directory.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\nbad:x\n")
            .unwrap();
        let image = Image::below(&root).unwrap().unwrap();
        assert_eq!(image.user("web").unwrap(), Some(Ids { uid: 33, gid: 34 }));
        assert_eq!(image.user("we").unwrap(), None);
        assert!(image.user("bad").is_err());
        assert_eq!(image.group("web").unwrap(), None);
        assert_eq!(image.known(), ["root", "web", "bad"]);
    }

    #[test]
    fn what_the_c_library_does_not_know_is_asked_of_getent() {
        let directory = tempfile::tempdir().unwrap();
        let asked = |script: &str| {
            let program = directory.path().join("getent");
            // A shell reads it, so that no other test's new process can have the file open that is to be run.
            fs::write(&program, format!("{script}\n")).unwrap();
            let wrapper = directory.path().join("wrapper");
            if !wrapper.exists() {
                std::os::unix::fs::symlink("/bin/sh", &wrapper).unwrap();
            }
            ask_getent(wrapper.to_str().unwrap(), program.to_str().unwrap(), "web")
        };
        assert_eq!(
            asked(r#"[ "$1 $2" = "-- web" ] && echo "web:*:70033:70034::/:/bin/sh""#).unwrap(),
            Some((70033, Some(70034)))
        );
        assert_eq!(asked("echo 'other:*:70033:70034::/:/bin/sh'").unwrap(), None);
        assert_eq!(asked("exit 2").unwrap(), None);
        let why = asked("echo cannot reach the directory >&2; exit 1").unwrap_err().to_string();
        assert!(why.starts_with("getent ") && why.ends_with(": cannot reach the directory"), "{why}");
        assert_eq!(ask_getent("/nowhere/getent", "passwd", "web").unwrap(), None);
        // The real one, where there is one.
        assert!(matches!(ask_getent("getent", "passwd", "root").unwrap(), None | Some((0, Some(0)))));
        assert_eq!(ask_getent("getent", "passwd", "no-such-user-here").unwrap(), None);
        assert_eq!(ask_getent("getent", "passwd", "0").unwrap(), None);
    }

    #[test]
    fn the_host_tells_what_does_not_exist() {
        assert_eq!(HostAccounts.user("root").unwrap(), Some(Ids { uid: 0, gid: 0 }));
        assert_eq!(HostAccounts.user("no-such-user-here").unwrap(), None);
        assert_eq!(HostAccounts.group("no-such-group-here").unwrap(), None);
        assert_eq!(HostAccounts.local_group("root").unwrap(), Some(0));
        assert_eq!(HostAccounts.local_group("no-such-group-here").unwrap(), None);
    }
}
