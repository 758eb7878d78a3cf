//! The plan: a manifest as this host will carry it out. Pure: accounts are asked through a trait.

mod owners;
mod places;

pub use owners::{Accounts, Owners};

use crate::error::Error;
use crate::manifest::name::RENDERED;
use crate::manifest::path::AbsolutePath;
use crate::manifest::{Installation, Manifest, Mode, OnConflict, Secret, Template, Units};
use crate::sops::format::Format;
use owners::{Known, access, directories};
use places::Places;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// What is to be done. What can still fail is the host, the sops files, and the targets that failed already.
pub struct Plan<'a> {
    /// The sops files, each once, with the secrets that come from it.
    pub files: Vec<SopsFile<'a>>,
    /// The files of the generation: the secrets in the manifest's order, then the templates.
    pub targets: Vec<Target<'a>>,
    /// Links that lie in the generation itself.
    pub inner_links: Vec<InnerLink>,
    /// Who owns the mount point and the directories in it; `None` leaves them to the user who runs the program.
    pub directories: Option<Ids>,
    /// Targets whose owner is not known.
    pub failures: Vec<Failure>,
}

/// One sops file.
pub struct SopsFile<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// How it is read.
    pub format: Format,
    /// The secrets that come from it, as positions in [`Plan::targets`].
    pub secrets: Vec<usize>,
}

/// One file of the generation.
pub struct Target<'a> {
    /// Where what it holds comes from.
    pub source: Source<'a>,
    /// Where it lies in the generation.
    pub file: Cow<'a, str>,
    /// Who may read it; `None` where that failed.
    pub access: Option<FileAccess>,
    /// What stands for it outside of the generation.
    pub outside: Option<Box<Outside>>,
}

/// Where the content of a target comes from. Its text form is what people call it.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A sops file.
    Secret(&'a Secret),
    /// Text and secrets.
    Template(&'a Template),
}

impl<'a> Source<'a> {
    fn installation(self) -> &'a Installation {
        match self {
            Self::Secret(secret) => &secret.file,
            Self::Template(template) => &template.file,
        }
    }

    /// The units that want to be told of a change.
    pub fn units(self) -> &'a Units {
        &self.installation().units
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => write!(f, "secret `{}`", secret.name),
            Self::Template(template) => write!(f, "template `{}`", template.name),
        }
    }
}

/// What failed, and whom it concerns.
#[derive(Debug)]
pub struct Failure {
    /// Positions in [`Plan::targets`].
    pub targets: Vec<usize>,
    /// The reason.
    pub error: Error,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What stands for a secret or a template outside of the generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outside {
    /// Where it stands.
    pub path: AbsolutePath,
    /// What stands there.
    pub form: Form,
    /// Its owner; `None` leaves it to the user who runs the program.
    pub ids: Option<Ids>,
    /// What is done with a file that stands there and is not ours.
    pub on_conflict: OnConflict,
}

/// What stands outside of the generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// A link to this file behind the link to the live generation.
    Link(AbsolutePath),
    /// A file with this mode, which holds the same.
    Copy(Mode),
}

/// A link in the generation, for a `path` that lies behind the link to the live generation.
#[derive(Debug, PartialEq, Eq)]
pub struct InnerLink {
    /// Where it stands in the generation.
    pub name: String,
    /// Where it leads.
    pub target: AbsolutePath,
    /// Its owner; `None` leaves it to the user who runs the program.
    pub ids: Option<Ids>,
    /// The position in [`Plan::targets`] of what it leads to.
    pub of: usize,
}

/// Makes the plan.
///
/// # Errors
/// All that is wrong in the manifest as a whole: places that two want, files read in two ways. What concerns one target
/// alone is in [`Plan::failures`].
pub fn plan<'a>(manifest: &'a Manifest, owners: &Owners<'_>) -> std::result::Result<Plan<'a>, Vec<Error>> {
    let mut errors = Vec::new();
    let mut plan = Plan {
        files: Vec::new(),
        targets: Vec::with_capacity(manifest.secrets.len() + manifest.templates.len()),
        inner_links: Vec::new(),
        directories: None,
        failures: Vec::new(),
    };
    // Paths are the same if their parts are, however they are written.
    let mut known_files: HashMap<&Path, usize> = HashMap::new();
    let mut last_file: Option<(&Path, usize)> = None;
    let mut known_owners = Known::default();
    let mut places = Places::new(manifest);
    let secrets = manifest.secrets.iter().map(|secret| (Source::Secret(secret), Cow::Borrowed(secret.name.as_str())));
    let templates = manifest
        .templates
        .iter()
        .map(|template| (Source::Template(template), Cow::Owned(format!("{RENDERED}/{}", template.name))));
    for (position, (source, file)) in secrets.chain(templates).enumerate() {
        let installation = source.installation();
        let access = access(&installation.access, owners, &mut known_owners)
            .map_err(|error| plan.failures.push(Failure { targets: vec![position], error: error.of(source) }))
            .ok();
        let ids = access.and_then(|access| access.ids);
        let outside = match places.add(position, source, &file, installation, ids) {
            Ok(outside) => outside.map(Box::new),
            Err(error) => {
                errors.push(error.of(source));
                None
            }
        };
        if let (Source::Secret(secret), Some(_)) = (source, access) {
            // Most come from the file of the one before.
            let number = match last_file {
                Some((path, number)) if std::ptr::eq(path, &*secret.sops_file) => number,
                _ => *known_files.entry(&*secret.sops_file).or_insert(plan.files.len()),
            };
            last_file = Some((&*secret.sops_file, number));
            match plan.files.get_mut(number) {
                Some(file) if file.format != secret.format => {
                    errors.push(mixed_formats(file, secret.format, &plan.targets).of(source));
                }
                Some(file) => file.secrets.push(position),
                None => {
                    let secrets = vec![position];
                    plan.files.push(SopsFile { path: &secret.sops_file, format: secret.format, secrets });
                }
            }
        }
        plan.targets.push(Target { source, file, access, outside });
    }
    match places.finish(&plan.targets) {
        Ok(inner_links) => plan.inner_links = inner_links,
        Err(collisions) => errors.extend(collisions),
    }
    match directories(manifest.storage, owners) {
        Ok(ids) => plan.directories = ids,
        Err(error) => errors.push(error),
    }
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

fn mixed_formats(file: &SopsFile<'_>, format: Format, targets: &[Target<'_>]) -> Error {
    let first = file.secrets.first().and_then(|position| targets.get(*position));
    let first = first.map_or_else(String::new, |target| target.source.to_string());
    Error::new(format!(
        "it reads {} as {}, but the {first} reads it as {}",
        file.path.display(),
        format.name(),
        file.format.name()
    ))
    .help("give both the file's true `format`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{self, Surroundings};
    use std::io;

    struct Host;
    impl Accounts for Host {
        fn user(&self, name: &str) -> io::Result<Option<Ids>> {
            match name {
                "nginx" => Ok(Some(Ids { uid: 60, gid: 61 })),
                "highest" => Ok(Some(Ids { uid: u32::MAX, gid: 0 })),
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

    fn failures(manifest: &str) -> Vec<String> {
        with_plan(manifest, |plan| plan.unwrap().failures.iter().map(|failure| failure.error.to_string()).collect())
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
                assert!(plan.targets.iter().all(|target| target.outside.is_none()));
                assert_eq!(plan.directories, Some(Ids { uid: 0, gid: 96 }));
            },
        );
    }

    #[test]
    fn owners_and_groups_are_looked_up() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {owner: nginx}, b: {owner: nginx, group: www}, \
                        c: {uid: 4000}, d: {group: www}}}";
        with_plan(manifest, |plan| {
            let ids: Vec<_> = plan.unwrap().targets.iter().map(|target| target.access.unwrap().ids.unwrap()).collect();
            assert_eq!(
                ids.iter().map(|ids| (ids.uid, ids.gid)).collect::<Vec<_>>(),
                [(60, 61), (60, 70), (4000, 0), (0, 70)]
            );
        });
    }

    #[test]
    fn an_owner_of_many_secrets_is_looked_up_once() {
        struct Counting(std::cell::RefCell<Vec<String>>);
        impl Accounts for Counting {
            fn user(&self, name: &str) -> io::Result<Option<Ids>> {
                self.0.borrow_mut().push(name.to_owned());
                Host.user(name)
            }
            fn group(&self, name: &str) -> io::Result<Option<u32>> {
                self.0.borrow_mut().push(name.to_owned());
                Host.group(name)
            }
            fn known(&self) -> Vec<String> {
                Host.known()
            }
        }
        let text = "{defaultSopsFile: s.yaml, secrets: {a: {owner: nginx}, b: {owner: nginx}, c: {owner: nginx, group: www}, \
                    d: {owner: nginx}}}";
        let manifest = manifest::parse(text, Path::new("m.yaml"), &Surroundings::default()).unwrap();
        let host = Counting(Vec::new().into());
        assert!(plan(&manifest, &Owners::Accounts(&host)).is_ok());
        assert_eq!(*host.0.borrow(), ["nginx", "nginx", "www", "keys"]);
    }

    #[test]
    fn an_account_that_does_not_exist_is_told_from_a_lookup_that_failed() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {owner: ngnix}, b: {owner: ldap}, c: {group: staff}}}";
        assert_eq!(
            failures(manifest),
            [
                "secret `a`: the user `ngnix` does not exist on this host\n  help: did you mean `nginx`?",
                "secret `b`: cannot look up the user `ldap`: no connection\n  help: check the name services that \
                 nsswitch.conf lists",
                "secret `c`: the group `staff` does not exist on this host\n  help: create the group, or correct `group`",
            ]
        );
    }

    #[test]
    fn nobodys_number_is_refused_also_where_a_list_of_accounts_has_it() {
        let said = failures("{defaultSopsFile: s.yaml, secrets: {a: {owner: highest}}}");
        assert!(said.iter().all(|said| said.contains("4294967295, which is nobody's")) && said.len() == 1, "{said:?}");
    }

    #[test]
    fn links_are_planned_only_where_they_are_needed() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {path: /home/u/.npmrc}, b: {path: /run/secrets/old/b}, \
                        c: {path: /run/secrets/c}}}";
        with_plan(manifest, |plan| {
            let plan = plan.unwrap();
            let outside: Vec<_> = plan.targets.iter().filter_map(|target| target.outside.as_deref()).collect();
            let [link] = outside.as_slice() else { panic!("{outside:?}") };
            assert_eq!(
                (link.path.to_string(), &link.form),
                ("/home/u/.npmrc".into(), &Form::Link(path("/run/secrets/a")))
            );
            let inner: Vec<_> = plan.inner_links.iter().map(|link| format!("{} {}", link.name, link.target)).collect();
            assert_eq!(inner, ["old/b /run/secrets/b"]);
        });
    }

    fn path(text: &str) -> AbsolutePath {
        AbsolutePath::new(text, Path::new("/")).unwrap()
    }

    #[test]
    fn the_place_of_another_secret_is_taken_whichever_comes_first() {
        let taken = |name: &str, other: &str, path: &str| {
            vec![format!(
                "secret `{name}`: its path {path} is also that of the secret `{other}`\n  help: change one of them"
            )]
        };
        for secrets in ["a: {path: /run/secrets/b}, b: {}", "b: {}, a: {path: /run/secrets/b}"] {
            let manifest = format!("{{defaultSopsFile: s.yaml, secrets: {{{secrets}}}}}");
            assert_eq!(errors(&manifest), taken("a", "b", "/run/secrets/b"));
        }
        let both = "{defaultSopsFile: s.yaml, secrets: {a: {path: /run/secrets/x}, b: {path: /run/secrets/x}}}";
        assert_eq!(errors(both), taken("b", "a", "/run/secrets/x"));
    }

    #[test]
    fn places_that_two_want_and_formats_that_differ_are_errors() {
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {path: /x}, b: {path: /x}, c: {format: json}, \
                        e: {path: /run/secrets}, f: {path: /x/y}, g: {path: /run/secrets.d/7/x}, \
                        h: {path: /run/.secrets.d.lock}, i: {install: copy}, j: {path: /run/secrets.d/mine}}}";
        assert_eq!(
            errors(manifest),
            [
                "secret `b`: its path /x is also that of the secret `a`\n  help: change one of them",
                "secret `c`: it reads /base/s.yaml as json, but the secret `a` reads it as yaml\n  help: give both the \
                 file's true `format`",
                "secret `e`: its path /run/secrets is where the secrets themselves lie\n  help: choose another `path`",
                "secret `g`: its path /run/secrets.d/7/x is where the secrets themselves lie\n  help: choose another `path`",
                "secret `h`: its path /run/.secrets.d.lock is where the secrets themselves lie\n  help: choose another \
                 `path`",
                "secret `i`: `install: copy` has no meaning where the secret itself lies\n  help: set `path` to the place \
                 where the copy is wanted, or take `install` out",
                "secret `f`: its path /x/y lies below /x, which is the path of the secret `b`\n  help: change one of them",
            ]
        );
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {path: /y}, d: {path: /run/secrets/a/b}}}";
        assert_eq!(
            errors(manifest),
            [
                "two files in /run/secrets collide: `a` and `a/b` cannot both exist\n  help: change the `path` or the name of \
              one of them"
            ]
        );
        let manifest = "{defaultSopsFile: s.yaml, secrets: {a: {path: /run/secrets/rendered/t/x}}, \
                        templates: {t: {content: x}}}";
        assert!(errors(manifest)[0].starts_with("two files in /run/secrets collide: `rendered/t`"));
    }
}
