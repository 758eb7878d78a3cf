//! `sops-install check`: what is wrong with manifests and their files, as far as that shows without a private key.

use super::table::table;
use super::{Exit, Process, machine, recipient, report, say, setting};
use crate::check::{self, Finding, HostKeys, Subject, fleet};
use crate::error::{Error, Result, printable};
use crate::manifest::Manifest;
use crate::parallel;
use crate::plan::{self, Owners, Plan};
use crate::system::accounts::Listed;
use crate::system::read::read;
use crate::voice::{Level, Voice};
use anyhow::Context;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const AFTER_HELP: &str = "Examples:
  sops-install check manifest.yaml
  sops-install check manifest.yaml --host-key /etc/ssh/ssh_host_ed25519_key.pub
  sops-install check --hosts fleet.yaml --json

A list of hosts, in YAML or JSON; all but `manifests` may be left out:
  hosts:
    web1:
      manifests: [web1.json]
      recipients: [age1…]
      hostKeys: [keys/web1.pub]
      passwd: web1.passwd
      group: web1.group

Exit codes:
  0  nothing was found
  1  it could not be checked: the list of hosts or a file of keys cannot be used
  2  the command line is wrong
  3  something was found";

#[derive(clap::Args)]
pub(super) struct Check {
    /// The manifests, in YAML or JSON.
    #[arg(value_name = "MANIFEST", required_unless_present = "hosts")]
    manifests: Vec<PathBuf>,
    /// A public key of the host that is to open the files, of age or SSH. Can be given several times.
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// A file with keys of the host, such as `/etc/ssh/ssh_host_ed25519_key.pub`. Can be given several times.
    #[arg(long, value_name = "FILE")]
    host_key: Vec<PathBuf>,
    /// The host's list of users, in the form of `/etc/passwd`. Without it no owner is looked up.
    #[arg(long, value_name = "FILE")]
    passwd: Option<PathBuf>,
    /// The host's list of groups, in the form of `/etc/group`.
    #[arg(long, value_name = "FILE", requires = "passwd")]
    group: Option<PathBuf>,
    /// Checks all hosts of a list instead, and prints a line for each.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["manifests", "recipient", "host_key", "passwd"])]
    hosts: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What is checked together: a manifest, or all of a host.
struct Job {
    name: String,
    manifests: Vec<PathBuf>,
    keys: HostKeys,
    accounts: Option<Listed>,
}

/// What came out of a job.
struct Checked {
    name: String,
    secrets: usize,
    files: usize,
    findings: Vec<Finding>,
}

pub(super) fn run(arguments: &Check, process: &mut Process<'_>) -> anyhow::Result<Exit> {
    let jobs = match jobs(arguments) {
        Ok(jobs) => jobs,
        Err(errors) => {
            report(process, &errors)?;
            return Ok(Exit::Failed);
        }
    };
    let checked = carry_out(&jobs);
    let text = if arguments.json {
        as_json(&checked)?
    } else {
        for text in told(&checked, arguments.hosts.is_some()) {
            say(process, Level::Error, &text)?;
        }
        as_table(&checked)
    };
    process.output.write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(if checked.iter().all(|checked| checked.findings.is_empty()) { Exit::Done } else { Exit::Unfinished })
}

fn jobs(arguments: &Check) -> std::result::Result<Vec<Job>, Vec<Error>> {
    let one = |error: Error| vec![error];
    if let Some(file) = &arguments.hosts {
        let text = text(file, "the list of hosts").map_err(one)?;
        let absolute = setting::absolute(file).map_err(one)?;
        let hosts = fleet::parse(&text, file, absolute.parent().unwrap_or(Path::new("/")))?;
        let job = |host: &fleet::Listed| {
            let keys = keys(&host.recipients, &host.host_keys, "`recipients`");
            let accounts = accounts(host.passwd.as_deref(), host.group.as_deref());
            let of_host = |error: Error| error.within(format!("host `{}`", host.name));
            Ok(Job {
                name: host.name.clone(),
                manifests: host.manifests.clone(),
                keys: keys.map_err(of_host)?,
                accounts: accounts.map_err(of_host)?,
            })
        };
        let (jobs, errors): (Vec<_>, Vec<_>) = hosts.iter().map(job).partition(Result::is_ok);
        let errors: Vec<Error> = errors.into_iter().filter_map(Result::err).collect();
        return if errors.is_empty() { Ok(jobs.into_iter().flatten().collect()) } else { Err(errors) };
    }
    let job = |manifest: &PathBuf| {
        Ok(Job {
            name: manifest.display().to_string(),
            manifests: vec![manifest.clone()],
            keys: keys(&arguments.recipient, &arguments.host_key, "--recipient")?,
            accounts: accounts(arguments.passwd.as_deref(), arguments.group.as_deref())?,
        })
    };
    arguments.manifests.iter().map(job).collect::<Result<_>>().map_err(one)
}

fn keys(recipients: &[String], files: &[PathBuf], place: &str) -> Result<HostKeys> {
    let mut keys = HostKeys::default();
    let host = machine(Voice::plain("sops-install"));
    for recipient in recipients {
        keys.add(recipient).map_err(|bad| bad.within(place))?;
    }
    for file in files {
        keys.add_file(file, &recipient::read_keys(file)?, &host)?;
    }
    Ok(keys)
}

fn accounts(passwd: Option<&Path>, group: Option<&Path>) -> Result<Option<Listed>> {
    let Some(passwd) = passwd else { return Ok(None) };
    let groups = group.map(|group| text(group, "the list of groups")).transpose()?;
    Ok(Some(Listed::new(text(passwd, "the list of users")?, groups)))
}

fn text(file: &Path, what: &str) -> Result<String> {
    let describe = || Error::new(format!("cannot read {what} {}", file.display())).in_file(file);
    let bytes = read(file)
        .map_err(|error| describe().because(error).help("check the path of the file, and who may read it"))?;
    let text = bytes.expose_text().map(str::to_owned);
    text.ok_or_else(|| describe().because_text("it is not UTF-8").help("save it as UTF-8"))
}

/// One manifest of a job, and what was found so far.
struct Part<'a> {
    job: &'a Job,
    path: &'a Path,
    findings: Vec<Finding>,
    keys: HostKeys,
    plan: Option<(&'a Manifest, Plan<'a>)>,
}

fn carry_out(jobs: &[Job]) -> Vec<Checked> {
    let orders: Vec<(&Job, &PathBuf)> =
        jobs.iter().flat_map(|job| job.manifests.iter().map(move |manifest| (job, manifest))).collect();
    // Where secrets are edited or built there may be no runtime directory, and where it is makes no difference.
    let runtime_directory = setting::runtime_directory().unwrap_or_else(|| "/run/user/0".into());
    let loaded = parallel::each(orders.len(), |number| {
        let (_, path) = orders.get(number)?;
        Some(setting::load(path, Some(runtime_directory.clone())))
    });
    let (manifests, errors): (Vec<Option<Manifest>>, Vec<Vec<Error>>) = loaded
        .into_iter()
        .flatten()
        .map(|loaded| match loaded {
            Ok(manifest) => (Some(manifest), Vec::new()),
            Err(errors) => (None, errors),
        })
        .unzip();
    let mut parts: Vec<Part<'_>> = orders
        .iter()
        .zip(&manifests)
        .zip(errors)
        .map(|(((job, path), manifest), errors)| part(job, path, manifest.as_ref(), errors))
        .collect();
    let subjects = parts.iter().filter_map(|part| {
        let (manifest, plan) = part.plan.as_ref()?;
        Some(Subject { manifest, plan, keys: &part.keys })
    });
    let found = check::sops_files(&subjects.collect::<Vec<_>>(), &read);
    for (part, found) in parts.iter_mut().filter(|part| part.plan.is_some()).zip(found) {
        part.findings.extend(found);
    }
    one_link_each(&mut parts);
    let mut parts = parts.into_iter().peekable();
    let of_job = |job: &Job| {
        let mut checked = Checked { name: job.name.clone(), secrets: 0, files: 0, findings: Vec::new() };
        while let Some(part) = parts.next_if(|part| std::ptr::eq(part.job, job)) {
            checked.findings.extend(part.findings);
            if let Some((manifest, plan)) = part.plan {
                checked.secrets += manifest.secrets.len();
                checked.files += plan.files.len();
            }
        }
        checked
    };
    jobs.iter().map(of_job).collect()
}

/// Two manifests of one host that make the same link live would remove each other's secrets.
fn one_link_each(parts: &mut [Part<'_>]) {
    let mut known: BTreeMap<(*const Job, String), String> = BTreeMap::new();
    for part in parts {
        let Some((manifest, _)) = &part.plan else { continue };
        let link = manifest.symlink_path.to_string();
        let path = part.path.display().to_string();
        if let Some(other) = known.get(&(std::ptr::from_ref(part.job), link.clone())) {
            let error = Error::new(format!("{path}: its `symlinkPath` {link} is also that of {other}"));
            let error = error.in_file(part.path).help("give each manifest of a host a `symlinkPath` of its own");
            part.findings.push(Arc::new(error));
        } else {
            known.insert((std::ptr::from_ref(part.job), link), path);
        }
    }
}

/// All of a manifest but its sops files.
fn part<'a>(job: &'a Job, path: &'a Path, manifest: Option<&'a Manifest>, errors: Vec<Error>) -> Part<'a> {
    let mut part = Part { job, path, findings: shared(errors), keys: job.keys.clone(), plan: None };
    let Some(manifest) = manifest else { return part };
    part.findings.extend(shared(part.keys.add_all(&manifest.host_recipients)));
    // A secret without an owner has no file in a plan, but its file and key are to be checked all the same.
    match plan::plan(manifest, &Owners::AllRoot) {
        Ok(plan) => {
            let owned = job.accounts.as_ref().map(|accounts| plan::plan(manifest, &Owners::Accounts(accounts)));
            let failures = owned.and_then(std::result::Result::ok).map(|plan| plan.failures).unwrap_or_default();
            part.findings.extend(shared(failures.into_iter().map(|failure| failure.error).collect()));
            part.findings.extend(check::templates(manifest, &plan, &read));
            part.plan = Some((manifest, plan));
        }
        Err(errors) => part.findings.extend(shared(errors)),
    }
    part
}

fn shared(errors: Vec<Error>) -> Vec<Finding> {
    errors.into_iter().map(Arc::new).collect()
}

/// What people are told: each finding once, with the hosts that it concerns where hosts are checked.
fn told(checked: &[Checked], are_hosts: bool) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut concerned: BTreeMap<*const Error, Vec<&str>> = BTreeMap::new();
    let mut findings: Vec<&Finding> = Vec::new();
    for Checked { name, findings: of_one, .. } in checked {
        for finding in of_one {
            let names = concerned.entry(Arc::as_ptr(finding)).or_default();
            if names.is_empty() {
                findings.push(finding);
            }
            names.push(name);
        }
    }
    let text = |finding: &Finding| {
        let names = concerned.get(&Arc::as_ptr(finding)).map_or(&[][..], Vec::as_slice);
        let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
        match names.len().saturating_sub(SHOWN) {
            _ if !are_hosts => finding.to_string(),
            0 => format!("{}: {finding}", printable(&shown)),
            more => format!("{} and {more} more: {finding}", printable(&shown)),
        }
    };
    findings.into_iter().map(text).collect()
}

fn as_table(checked: &[Checked]) -> String {
    let row = |checked: &Checked| {
        let found = match checked.findings.len() {
            0 => "nothing".to_owned(),
            count => count.to_string(),
        };
        vec![checked.name.clone(), checked.secrets.to_string(), checked.files.to_string(), found]
    };
    let mut rows = vec![["CHECKED", "SECRETS", "FILES", "FOUND"].map(str::to_owned).to_vec()];
    rows.extend(checked.iter().map(row));
    table(&rows)
}

fn as_json(checked: &[Checked]) -> anyhow::Result<String> {
    let one = |checked: &Checked| {
        json!({
            "name": checked.name,
            "secrets": checked.secrets,
            "files": checked.files,
            "findings": checked.findings.iter().map(|finding| finding.to_json()).collect::<Vec<_>>(),
        })
    };
    let found: usize = checked.iter().map(|checked| checked.findings.len()).sum();
    let value = json!({ "checked": checked.iter().map(one).collect::<Vec<_>>(), "found": found });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
