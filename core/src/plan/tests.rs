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
    with_plan("{defaultSopsFile: s.yaml, secrets: {a: {}, b: {sopsFile: ./s.yaml}, c: {sopsFile: t.json}}}", |plan| {
        let plan = plan.unwrap();
        let files: Vec<_> = plan.files.iter().map(|file| (file.path.to_owned(), file.secrets.clone())).collect();
        assert_eq!(files, [("/base/s.yaml".into(), vec![0, 1]), ("/base/t.json".into(), vec![2])]);
        assert!(plan.targets.iter().all(|target| target.outside.is_none()));
        assert_eq!(plan.directories, Some(Ids { uid: 0, gid: 96 }));
    });
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
        assert_eq!((link.path.to_string(), &link.form), ("/home/u/.npmrc".into(), &Form::Link(path("/run/secrets/a"))));
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
