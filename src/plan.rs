//! The plan: a manifest as this host will carry it out. Pure: accounts are asked through a trait.

use crate::error::{Error, Result, nearest};
use crate::manifest::name::{Name, RENDERED};
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Access, Group, KeyRequest, Manifest, Mode, Owner, Storage, TemplateText};
use crate::sops::convert::Output;
use crate::sops::format::Format;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What is to be done. Nothing in it can be wrong in itself; what can still fail is the host and the sops files.
pub struct Plan<'a> {
    /// The sops files, each once, with the secrets that come from it.
    pub files: Vec<SopsFile<'a>>,
    /// The secrets.
    pub secrets: Vec<PlannedSecret<'a>>,
    /// The templates.
    pub templates: Vec<PlannedTemplate<'a>>,
    /// Links outside of the generation.
    pub links: Vec<Link>,
    /// Links that lie in the generation itself.
    pub inner_links: Vec<InnerLink>,
    /// Who owns the mount point and the directories in it; `None` leaves them to the user who runs the program.
    pub directories: Option<Ids>,
}

/// One sops file.
pub struct SopsFile<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// How it is read.
    pub format: Format,
    /// The secrets that come from it, as positions in [`Plan::secrets`].
    pub secrets: Vec<usize>,
}

/// One secret.
pub struct PlannedSecret<'a> {
    /// Its name: where it lies in the generation.
    pub name: &'a Name,
    /// What of its sops file it is.
    pub key: &'a KeyRequest,
    /// The form it is installed in; `None` is the file's own.
    pub output: Option<Output>,
    /// Who may read it.
    pub access: FileAccess,
}

/// One template.
pub struct PlannedTemplate<'a> {
    /// Its name; it lies in `rendered/` of the generation.
    pub name: &'a Name,
    /// Where its text comes from.
    pub text: &'a TemplateText,
    /// Who may read it.
    pub access: FileAccess,
}

/// Owner, group and mode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileAccess {
    /// The owner and the group; `None` leaves them to the user who runs the program.
    pub ids: Option<Ids>,
    /// The permission bits.
    pub mode: Mode,
}

/// A user and a group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// A link outside of the generation.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it stands.
    pub path: AbsolutePath,
    /// Where it leads: a file behind the link to the live generation.
    pub target: AbsolutePath,
    /// Its owner; `None` leaves it to the user who runs the program.
    pub ids: Option<Ids>,
    /// The secret or template it is for, for errors.
    pub subject: String,
}

/// A link in the generation, for a `path` that lies behind the link to the live generation.
#[derive(Debug, PartialEq, Eq)]
pub struct InnerLink {
    /// Where it stands in the generation.
    pub name: Name,
    /// Where it leads.
    pub target: AbsolutePath,
    /// Its owner; `None` leaves it to the user who runs the program.
    pub ids: Option<Ids>,
}

/// The accounts of a host. An error is one of the look-up itself; an account that does not exist is `None`.
pub trait Accounts {
    /// The user called `name`, with the user's own group.
    fn user(&self, name: &str) -> io::Result<Option<Ids>>;
    /// The group called `name`.
    fn group(&self, name: &str) -> io::Result<Option<u32>>;
    /// Names of users or groups that exist, for suggestions.
    fn known(&self) -> Vec<String>;
}

/// How owners are found.
pub enum Owners<'a> {
    /// By asking the host.
    Accounts(&'a dyn Accounts),
    /// Not at all: everything is root's.
    AllRoot,
    /// Not at all: everything is left to the user who runs the program.
    Caller,
}

/// Makes the plan. All errors are reported at once.
pub fn plan<'a>(manifest: &'a Manifest, owners: &Owners<'_>) -> std::result::Result<Plan<'a>, Vec<Error>> {
    let mut errors = Vec::new();
    let mut plan = Plan {
        files: Vec::new(),
        secrets: Vec::new(),
        templates: Vec::new(),
        links: Vec::new(),
        inner_links: Vec::new(),
        directories: None,
    };
    let mut known_files: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut places = Places { manifest, taken: BTreeMap::new() };
    for secret in &manifest.secrets {
        let subject = format!("secret `{}`", secret.name);
        let mut fail = |error: Error| errors.push(error.within(&subject));
        let access = match access(&secret.access, owners) {
            Ok(access) => access,
            Err(error) => {
                fail(error);
                continue;
            }
        };
        if let Err(error) = places.add(&mut plan, &subject, secret.name.as_str(), &secret.path, access.ids) {
            fail(error);
        }
        let number = *known_files.entry(secret.sops_file.components().collect()).or_insert(plan.files.len());
        let position = plan.secrets.len();
        match plan.files.get_mut(number) {
            Some(file) if file.format != secret.format => fail(mixed_formats(file, secret.format, &plan.secrets)),
            Some(file) => file.secrets.push(position),
            None => {
                plan.files.push(SopsFile { path: &secret.sops_file, format: secret.format, secrets: vec![position] })
            }
        }
        plan.secrets.push(PlannedSecret { name: &secret.name, key: &secret.key, output: secret.output, access });
    }
    for template in &manifest.templates {
        let subject = format!("template `{}`", template.name);
        let planned = access(&template.access, owners).and_then(|access| {
            let file = format!("{RENDERED}/{}", template.name);
            places.add(&mut plan, &subject, &file, &template.path, access.ids)?;
            Ok(PlannedTemplate { name: &template.name, text: &template.text, access })
        });
        match planned {
            Ok(template) => plan.templates.push(template),
            Err(error) => errors.push(error.within(&subject)),
        }
    }
    match directories(manifest.storage, owners) {
        Ok(ids) => plan.directories = ids,
        Err(error) => errors.push(error),
    }
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

fn mixed_formats(file: &SopsFile<'_>, format: Format, secrets: &[PlannedSecret<'_>]) -> Error {
    let first = file.secrets.first().and_then(|position| secrets.get(*position));
    let first = first.map_or_else(String::new, |secret| secret.name.to_string());
    Error::new(format!(
        "it reads {} as {}, but the secret `{first}` reads it as {}",
        file.path.display(),
        format.name(),
        file.format.name()
    ))
    .help("give both the file's true `format`")
}

/// Where links stand, so that no two want the same place.
struct Places<'a> {
    manifest: &'a Manifest,
    taken: BTreeMap<AbsolutePath, String>,
}

impl Places<'_> {
    /// Plans the link from `path` to the file that lies at `file` in the generation, if one is needed.
    fn add(
        &mut self,
        plan: &mut Plan<'_>,
        subject: &str,
        file: &str,
        path: &AbsolutePath,
        ids: Option<Ids>,
    ) -> Result<()> {
        let target = self.manifest.symlink_path.join(file);
        if let Some(other) = self.taken.insert(path.clone(), subject.to_owned()) {
            return Err(Error::new(format!("its path {path} is also that of the {other}")).help("change one of them"));
        }
        if *path == target {
            return Ok(());
        }
        if *path == self.manifest.symlink_path || *path == self.manifest.mount_point {
            return Err(Error::new(format!("its path {path} is where the secrets themselves lie")));
        }
        match path.below(&self.manifest.symlink_path) {
            Some(inner) => {
                let name = Name::new(inner).map_err(|why| Error::new(format!("its path {path} {why}")))?;
                let names = || self.manifest.secrets.iter().map(|secret| &secret.name);
                let links = || plan.inner_links.iter().map(|link| &link.name);
                if let Some((a, b)) = crate::manifest::name::collision(names().chain(links()).chain([&name])) {
                    return Err(Error::new(format!("its path {path} collides: `{a}` and `{b}` cannot both exist")));
                }
                plan.inner_links.push(InnerLink { name, target, ids });
            }
            None => plan.links.push(Link { path: path.clone(), target, ids, subject: subject.to_owned() }),
        }
        Ok(())
    }
}

fn access(access: &Access, owners: &Owners<'_>) -> Result<FileAccess> {
    let ids = match owners {
        Owners::Accounts(accounts) => Some(ids(access, *accounts)?),
        Owners::AllRoot => Some(Ids { uid: 0, gid: 0 }),
        Owners::Caller => None,
    };
    Ok(FileAccess { ids, mode: access.mode })
}

fn ids(access: &Access, accounts: &dyn Accounts) -> Result<Ids> {
    let (uid, own_group) = match &access.owner {
        Owner::Id(uid) => (*uid, None),
        Owner::Name(name) => {
            let user = accounts.user(name).map_err(|why| lookup_failed("user", name, why))?;
            let user = user.ok_or_else(|| unknown("user", name, accounts))?;
            (user.uid, Some(user.gid))
        }
    };
    let gid = match &access.group {
        Group::Id(gid) => *gid,
        Group::OfOwner => own_group.unwrap_or(0),
        Group::Name(name) => accounts
            .group(name)
            .map_err(|why| lookup_failed("group", name, why))?
            .ok_or_else(|| unknown("group", name, accounts))?,
    };
    Ok(Ids { uid, gid })
}

fn unknown(kind: &str, name: &str, accounts: &dyn Accounts) -> Error {
    let error = Error::new(format!("the {kind} `{name}` does not exist on this host"));
    match nearest(name, accounts.known().iter().map(String::as_str)) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help(format!("create the {kind}, or correct `{}`", if kind == "user" { "owner" } else { kind })),
    }
}

fn lookup_failed(kind: &str, name: &str, why: io::Error) -> Error {
    Error::new(format!("cannot look up the {kind} `{name}`"))
        .because(why)
        .help("check the name services that nsswitch.conf lists")
}

/// Directories belong to root and to the group `keys`, as sops-nix has it. Where there is no such group they belong to
/// root's: that lets fewer in, never more.
fn directories(storage: Storage, owners: &Owners<'_>) -> Result<Option<Ids>> {
    match (storage, owners) {
        (Storage::UserDirectory, _) | (_, Owners::Caller) => Ok(None),
        (_, Owners::AllRoot) => Ok(Some(Ids { uid: 0, gid: 0 })),
        (_, Owners::Accounts(accounts)) => {
            let keys = accounts.group("keys").map_err(|why| lookup_failed("group", "keys", why))?;
            Ok(Some(Ids { uid: 0, gid: keys.unwrap_or(0) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{self, Surroundings};

    struct Host;
    impl Accounts for Host {
        fn user(&self, name: &str) -> io::Result<Option<Ids>> {
            match name {
                "nginx" => Ok(Some(Ids { uid: 60, gid: 61 })),
                "ldap" => Err(io::Error::other("no connection")),
                _ => Ok(None),
            }
        }
        fn group(&self, name: &str) -> io::Result<Option<u32>> {
            Ok([("keys", 96), ("www", 70)].into_iter().find(|group| group.0 == name).map(|group| group.1))
        }
        fn known(&self) -> Vec<String> {
            vec!["nginx".into(), "www".into()]
        }
    }

    fn with_plan<T>(manifest: &str, then: impl FnOnce(std::result::Result<Plan<'_>, Vec<Error>>) -> T) -> T {
        let surroundings = Surroundings { base: "/base".into(), ..Surroundings::default() };
        let manifest = manifest::parse(manifest, Path::new("m.yaml"), &surroundings).unwrap();
        then(plan(&manifest, &Owners::Accounts(&Host)))
    }

    fn errors(manifest: &str) -> Vec<String> {
        with_plan(manifest, |plan| plan.err().unwrap().iter().map(Error::to_string).collect())
    }

    #[test]
    fn a_file_is_planned_once_however_it_is_written() {
        with_plan(
            "{defaultSopsFile: s.yaml, secrets: {a: {}, b: {sopsFile: ./s.yaml}, c: {sopsFile: t.json}}}",
            |plan| {
                let plan = plan.unwrap();
                let files: Vec<_> =
                    plan.files.iter().map(|file| (file.path.to_owned(), file.secrets.clone())).collect();
                assert_eq!(files, [("/base/s.yaml".into(), vec![0, 1]), ("/base/t.json".into(), vec![2])]);
                assert!(plan.links.is_empty());
                assert_eq!(plan.directories, Some(Ids { uid: 0, gid: 96 }));
            },
        );
    }

    #[test]
    fn owners_and_groups_are_looked_up() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {owner: nginx}, b: {owner: nginx, group: www}, \
                        c: {uid: 4000}, d: {group: www}}}";
        with_plan(manifest, |plan| {
            let ids: Vec<_> = plan.unwrap().secrets.iter().map(|secret| secret.access.ids.unwrap()).collect();
            assert_eq!(
                ids.iter().map(|ids| (ids.uid, ids.gid)).collect::<Vec<_>>(),
                [(60, 61), (60, 70), (4000, 0), (0, 70)]
            );
        });
    }

    #[test]
    fn an_account_that_does_not_exist_is_told_from_a_lookup_that_failed() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {owner: ngnix}, b: {owner: ldap}, c: {group: staff}}}";
        assert_eq!(
            errors(manifest),
            [
                "secret `a`: the user `ngnix` does not exist on this host\n  help: did you mean `nginx`?",
                "secret `b`: cannot look up the user `ldap`: no connection\n  help: check the name services that \
                 nsswitch.conf lists",
                "secret `c`: the group `staff` does not exist on this host\n  help: create the group, or correct `group`",
            ]
        );
    }

    #[test]
    fn links_are_planned_only_where_they_are_needed() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {path: /home/u/.npmrc}, b: {path: /run/secrets/old/b}, \
                        c: {path: /run/secrets/c}}}";
        with_plan(manifest, |plan| {
            let plan = plan.unwrap();
            let links: Vec<_> = plan.links.iter().map(|link| format!("{} {}", link.path, link.target)).collect();
            assert_eq!(links, ["/home/u/.npmrc /run/secrets/a"]);
            let inner: Vec<_> = plan.inner_links.iter().map(|link| format!("{} {}", link.name, link.target)).collect();
            assert_eq!(inner, ["old/b /run/secrets/b"]);
        });
    }

    #[test]
    fn places_that_two_want_and_formats_that_differ_are_errors() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {path: /x}, b: {path: /x}, \
                        c: {format: json}, d: {path: /run/secrets/a}, e: {path: /run/secrets}}}";
        assert_eq!(
            errors(manifest),
            [
                "secret `b`: its path /x is also that of the secret `a`\n  help: change one of them",
                "secret `c`: it reads /base/s.yaml as json, but the secret `a` reads it as yaml\n  help: give both the \
                 file's true `format`",
                "secret `d`: its path /run/secrets/a collides: `a` and `a` cannot both exist",
                "secret `e`: its path /run/secrets is where the secrets themselves lie",
            ]
        );
    }
}
