//! A list of hosts, with their manifests and public keys.

use crate::error::{Error, Result};
use crate::manifest::{self, Pairs};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One host of the list. Its paths are absolute.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is called.
    pub name: String,
    /// Its manifests.
    pub manifests: Vec<PathBuf>,
    /// Its public keys.
    pub recipients: Vec<String>,
    /// Files that hold its public keys.
    pub host_keys: Vec<PathBuf>,
    /// Its list of users.
    pub passwd: Option<PathBuf>,
    /// Its list of groups.
    pub group: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a list of hosts, with the field `hosts`")]
struct Raw {
    hosts: Pairs<RawHost>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a host, with the field `manifests`")]
struct RawHost {
    manifests: Vec<PathBuf>,
    recipients: Vec<String>,
    host_keys: Vec<PathBuf>,
    passwd: Option<PathBuf>,
    group: Option<PathBuf>,
}

/// Reads a list of hosts. `base` is the directory that relative paths start from.
///
/// # Errors
/// All that is wrong with it: its syntax, a host that stands there twice or has no manifest.
pub fn parse(text: &str, file: &Path, base: &Path) -> std::result::Result<Vec<Listed>, Vec<Error>> {
    let raw: Raw = manifest::read(text, file, "the list of hosts").map_err(|error| vec![error])?;
    let mut hosts: Vec<Listed> = Vec::new();
    let mut errors = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for (name, host) in raw.hosts.0 {
        match complete(&name, host, base) {
            Ok(_) if !names.insert(name.clone()) => {
                errors.push(Error::new(format!("two hosts are named `{name}`")).help("give one of them another name"));
            }
            Ok(host) => hosts.push(host),
            Err(error) => errors.push(error),
        }
    }
    if hosts.is_empty() && errors.is_empty() {
        errors.push(Error::new("it lists no host").help("name each below `hosts`"));
    }
    match errors.is_empty() {
        true => Ok(hosts),
        false => Err(errors.into_iter().map(|error| error.within(file.display()).in_file(file)).collect()),
    }
}

fn complete(name: &str, host: RawHost, base: &Path) -> Result<Listed> {
    if host.manifests.is_empty() {
        return Err(
            Error::new(format!("the host `{name}` has no manifest")).help("name its manifests: `manifests: [FILE]`")
        );
    }
    let absolute = |paths: Vec<PathBuf>| paths.into_iter().map(|path| base.join(path)).collect();
    Ok(Listed {
        name: name.to_owned(),
        manifests: absolute(host.manifests),
        recipients: host.recipients,
        host_keys: absolute(host.host_keys),
        passwd: host.passwd.map(|path| base.join(path)),
        group: host.group.map(|path| base.join(path)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let errors = parse(text, Path::new("fleet.yaml"), Path::new("/fleet")).unwrap_err();
        errors.iter().map(Error::to_string).collect()
    }

    #[test]
    fn paths_start_from_the_lists_directory() {
        let text = "hosts:\n  web: {manifests: [web.json], recipients: [age1x], hostKeys: [/k.pub], passwd: p}\n";
        let hosts = parse(text, Path::new("fleet.yaml"), Path::new("/fleet")).unwrap();
        assert_eq!(
            hosts,
            [Listed {
                name: "web".into(),
                manifests: vec!["/fleet/web.json".into()],
                recipients: vec!["age1x".into()],
                host_keys: vec!["/k.pub".into()],
                passwd: Some("/fleet/p".into()),
                group: None,
            }]
        );
    }

    #[test]
    fn what_is_wrong_is_told_at_once() {
        assert_eq!(
            errors("hosts: {a: {manifests: [m]}, b: {}, a: {manifests: [m]}}"),
            [
                "fleet.yaml: the host `b` has no manifest\n  help: name its manifests: `manifests: [FILE]`",
                "fleet.yaml: two hosts are named `a`\n  help: give one of them another name",
            ]
        );
        assert_eq!(errors("hosts: {}"), ["fleet.yaml: it lists no host\n  help: name each below `hosts`"]);
        assert_eq!(
            errors("hosts:\n  a:\n    manifest: [m]\n"),
            ["the list of hosts fleet.yaml, line 3: hosts.a: unknown field `manifest`, expected one of `manifests`, \
              `recipients`, `hostKeys`, `passwd`, `group`\n  help: did you mean `manifests`?"]
        );
    }
}
