//! Times `sops-install`, its peers and the floor on the inputs that `inputs` made, alternating, and prints tables.

mod report;
mod run;

use report::Results;
use run::Machine;
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Who is timed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Who {
    /// A first run of `sops-install`, built with glibc.
    Ours,
    /// A second one, with nothing changed.
    Again,
    /// A first run of the build that has its C library in it, which README recommends.
    Static,
    /// A second one, with nothing changed.
    StaticAgain,
    /// sops-nix's `sops-install-secrets`.
    Peer,
    /// `sops decrypt --extract` of one secret.
    Sops,
    /// Reading the input and writing the same files, see `floor.rs`.
    Floor,
    /// The same with AES-GCM and SHA-512 of what is written.
    Ciphers,
}

impl Who {
    const ALL: [Self; 8] =
        [Self::Static, Self::StaticAgain, Self::Ours, Self::Again, Self::Peer, Self::Sops, Self::Floor, Self::Ciphers];

    /// What is run one after the other. A second run follows its first.
    const TURNS: [&[Self]; 6] = [
        &[Self::Ours, Self::Again],
        &[Self::Peer],
        &[Self::Static, Self::StaticAgain],
        &[Self::Sops],
        &[Self::Floor],
        &[Self::Ciphers],
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "with glibc",
            Self::Again => "with glibc, second run",
            Self::Static => "sops-install",
            Self::StaticAgain => "second run",
            Self::Peer => "sops-install-secrets",
            Self::Sops => "sops, one secret",
            Self::Floor => "floor",
            Self::Ciphers => "floor with ciphers",
        }
    }
}

/// One process, from its start to its end.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) took: Duration,
    /// The most memory that it had in RAM at once, in KiB.
    pub(crate) peak: u64,
}

/// The names of the cases, from the smallest to the largest.
const CASES: [&str; 15] = [
    "yaml-age-1",
    "yaml-ssh-1",
    "yaml-pgp-1",
    "yaml-age-10",
    "yaml-age-100",
    "json-age-100",
    "yaml-ssh-100",
    "yaml-pgp-100",
    "yaml-age-50x2",
    "yaml-age-1000",
    "json-age-1000",
    "yaml-age-10000",
    "json-age-10000",
    "yaml-age-comments",
    "binary-age-64M",
];

/// After so much time a program is not run again on a case.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> io::Result<()> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let needed = |name: &str| variable(name).ok_or_else(|| io::Error::other(format!("{name} is not set")));
    let rounds: usize = std::env::var("RUNS").ok().map_or(Ok(21), |runs| runs.parse()).map_err(io::Error::other)?;
    let only = std::env::var("CASES").ok();
    let machine = Machine {
        inputs: needed("INPUTS")?,
        run: needed("RUN_DIRECTORY")?,
        ours: needed("SOPS_INSTALL")?,
        ours_static: variable("SOPS_INSTALL_STATIC"),
        peer: variable("SOPS_INSTALL_SECRETS"),
        sops: variable("SOPS"),
        floor: needed("FLOOR")?,
        has_many: Cell::new(true),
    };
    let cases: Vec<&str> = CASES
        .into_iter()
        .filter(|case| only.as_ref().is_none_or(|only| only.split_whitespace().any(|wanted| wanted == *case)))
        .collect();

    let mut results = Results::default();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // Whoever comes first finds a machine that just did something else, and each is that one at times.
        for case in cases.iter().cycle().skip(round).take(cases.len()) {
            for who in
                Who::TURNS.iter().cycle().skip(round % Who::TURNS.len()).take(Who::TURNS.len()).copied().flatten()
            {
                let who = *who;
                if !machine.runs(who, case) || results.spent(case, who) > PATIENCE {
                    continue;
                }
                let begun = Instant::now();
                let sample = machine.measure(who, case)?;
                results.add(case, who, sample);
                if begun.elapsed() > PATIENCE {
                    eprintln!("{}: {} took {:.0?}, and is not run again", case, who.name(), begun.elapsed());
                }
            }
        }
    }
    for who in [Who::Ours, Who::Static] {
        if cases.contains(&"yaml-pgp-100") && machine.runs(who, "yaml-pgp-100") {
            results.gpg_runs.insert(who, machine.gpg_runs(who, "yaml-pgp-100")?);
        }
    }
    machine.remove()?;
    print!("{}", results.tables());
    print!("{}", results.goals(&machine)?);
    if let Some(path) = variable("RESULTS") {
        std::fs::write(path, results.json())?;
    }
    Ok(())
}
