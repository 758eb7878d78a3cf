//! What came out: medians, ratios, and the goals.

use crate::run::Machine;
use crate::{CASES, Sample, Who};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::time::Duration;

/// The samples of all programs on all cases.
#[derive(Default)]
pub(crate) struct Results {
    samples: BTreeMap<(String, Who), Vec<Sample>>,
    pub(crate) gpg_runs: BTreeMap<Who, usize>,
}

impl Results {
    pub(crate) fn add(&mut self, case: &str, who: Who, sample: Sample) {
        self.samples.entry((case.to_owned(), who)).or_default().push(sample);
    }

    /// How long a program has run on a case in all.
    pub(crate) fn spent(&self, case: &str, who: Who) -> Duration {
        self.of(case, who).iter().map(|sample| sample.took).sum()
    }

    fn of(&self, case: &str, who: Who) -> &[Sample] {
        self.samples.get(&(case.to_owned(), who)).map_or(&[], Vec::as_slice)
    }

    /// The median time in milliseconds.
    fn time(&self, case: &str, who: Who) -> Option<f64> {
        let mut times: Vec<f64> = self.of(case, who).iter().map(|sample| sample.took.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }

    /// The largest peak, in MiB.
    fn peak(&self, case: &str, who: Who) -> Option<f64> {
        self.of(case, who).iter().map(|sample| sample.peak as f64 / 1024.0).max_by(f64::total_cmp)
    }

    fn cases(&self) -> impl Iterator<Item = &'static str> {
        CASES.into_iter().filter(|case| !self.of(case, Who::Ours).is_empty())
    }

    pub(crate) fn tables(&self) -> String {
        let mut text = String::from("Median time in milliseconds:\n\n| case |");
        for who in Who::ALL {
            let _ = write!(text, " {} |", who.name());
        }
        text += " to sops-install-secrets | with glibc, to the same | to the floor |\n|---|";
        text += &"---:|".repeat(Who::ALL.len() + 3);
        text += "\n";
        let cell =
            |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
        for case in self.cases() {
            let _ = write!(text, "| {case} |");
            for who in Who::ALL {
                let _ = write!(text, " {} |", cell(self.time(case, who), 1));
            }
            for who in [Who::Static, Who::Ours] {
                let _ = write!(text, " {} |", cell(self.ratio((case, who), (case, Who::Peer)), 4));
            }
            let _ = writeln!(text, " {} |", cell(self.ratio((case, Who::Static), (case, Who::Floor)), 2));
        }
        text += "\nMost memory in RAM at once, in MiB:\n\n| case |";
        for who in Who::ALL {
            let _ = write!(text, " {} |", who.name());
        }
        text += "\n|---|";
        text += &"---:|".repeat(Who::ALL.len());
        text += "\n";
        for case in self.cases() {
            let _ = write!(text, "| {case} |");
            for who in Who::ALL {
                let _ = write!(text, " {} |", cell(self.peak(case, who), 1));
            }
            text += "\n";
        }
        text
    }

    fn ratio(&self, (case, who): (&str, Who), (other_case, other): (&str, Who)) -> Option<f64> {
        Some(self.time(case, who)? / self.time(other_case, other)?)
    }

    /// Each goal, what was measured of both builds, and whether it is met.
    pub(crate) fn goals(&self, machine: &Machine) -> io::Result<String> {
        let mut goals = Vec::new();
        for (who, again) in [(Who::Static, Who::StaticAgain), (Who::Ours, Who::Again)] {
            goals.push(self.goals_of(who, again, machine)?);
        }
        let mut text =
            String::from("\n| goal | at most | sops-install | | with glibc | |\n|---|---:|---:|---|---:|---|\n");
        for (number, goal) in goals.iter().flatten().take(goals.first().map_or(0, Vec::len)).enumerate() {
            let cells: Vec<String> = goals.iter().filter_map(|goals| Some(goals.get(number)?.cells())).collect();
            if goals.iter().any(|goals| goals.get(number).is_some_and(|goal| goal.measured.is_some())) {
                let _ = writeln!(text, "| {} | {} | {} |", goal.what, goal.most, cells.join(" | "));
            }
        }
        Ok(text)
    }

    /// The goals for one build, of which `again` are the second runs.
    fn goals_of(&self, who: Who, again: Who, machine: &Machine) -> io::Result<Vec<Goal>> {
        let ours = |case| (case, who);
        let ratio = |what: &str, most, measured| Goal { what: what.to_owned(), most, measured, digits: 4 };
        let mut goals = vec![
            ratio("1 secret, to sops-install-secrets", 0.10, self.ratio(ours("yaml-age-1"), ("yaml-age-1", Who::Peer))),
            ratio("100 secrets, to the same", 0.015, self.ratio(ours("yaml-age-100"), ("yaml-age-100", Who::Peer))),
            ratio("1,000 secrets, to the same", 0.002, self.ratio(ours("yaml-age-1000"), ("yaml-age-1000", Who::Peer))),
            ratio(
                "10,000 secrets, to the floor",
                1.6,
                self.ratio(ours("yaml-age-10000"), ("yaml-age-10000", Who::Floor)),
            ),
            ratio("10,000 secrets, to 1,000", 11.0, self.ratio(ours("yaml-age-10000"), ours("yaml-age-1000"))),
            ratio("second run, to the first", 0.6, self.ratio(("yaml-age-1000", again), ours("yaml-age-1000"))),
            ratio("64 MiB, to the ciphers", 1.5, self.ratio(ours("binary-age-64M"), ("binary-age-64M", Who::Ciphers))),
        ];
        let gpg_runs = self.gpg_runs.get(&who).map(|runs| *runs as f64);
        goals.push(Goal {
            what: "gpg runs for 100 secrets of one file".into(),
            most: 1.0,
            measured: gpg_runs,
            digits: 0,
        });
        for case in self.cases() {
            let most = ((8.0 + 3.0 * largest_plaintext(machine, case)?) * 10.0).round() / 10.0;
            goals.push(Goal {
                what: format!("most memory, {case}, MiB"),
                most,
                measured: self.peak(case, who),
                digits: 1,
            });
        }
        let size = machine.program(who).map(fs::metadata).transpose()?;
        let size = size.map(|file| file.len() as f64 / f64::from(1 << 20));
        goals.push(Goal { what: "the program, MiB".into(), most: 5.0, measured: size, digits: 2 });
        Ok(goals)
    }

    /// All samples: for each case and program the times in seconds and the peaks in KiB.
    pub(crate) fn json(&self) -> String {
        let entries: Vec<String> = self
            .samples
            .iter()
            .map(|((case, who), samples)| {
                let times: Vec<String> =
                    samples.iter().map(|sample| format!("{:.6}", sample.took.as_secs_f64())).collect();
                let peaks: Vec<String> = samples.iter().map(|sample| sample.peak.to_string()).collect();
                format!(
                    "  {{\"case\": \"{case}\", \"program\": \"{}\", \"seconds\": [{}], \"peak_kib\": [{}]}}",
                    who.name(),
                    times.join(", "),
                    peaks.join(", ")
                )
            })
            .collect();
        format!("[\n{}\n]\n", entries.join(",\n"))
    }
}

/// What is to be reached.
struct Goal {
    what: String,
    most: f64,
    measured: Option<f64>,
    digits: usize,
}

impl Goal {
    /// What was measured, and whether that is enough, as two cells of a table.
    fn cells(&self) -> String {
        let Some(measured) = self.measured else { return "– | ".to_owned() };
        let met = if measured <= self.most { "met" } else { "NOT MET" };
        format!("{measured:.*} | {met}", self.digits)
    }
}

/// The plaintext of the largest file that is read, in MiB: of a sops file, or the manifest itself, which is plain.
fn largest_plaintext(machine: &Machine, case: &str) -> io::Result<f64> {
    let mut largest = 0;
    for entry in fs::read_dir(machine.inputs.join(case))? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b"plain.") || name == "manifest.json" {
            largest = largest.max(entry.metadata()?.len());
        }
    }
    Ok(largest as f64 / f64::from(1 << 20))
}
