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
        text += " to sops-install-secrets | to the floor |\n|---|";
        text += &"---:|".repeat(Who::ALL.len() + 2);
        text += "\n";
        let cell =
            |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
        for case in self.cases() {
            let _ = write!(text, "| {case} |");
            for who in Who::ALL {
                let _ = write!(text, " {} |", cell(self.time(case, who), 1));
            }
            let _ = write!(text, " {} |", cell(self.ratio((case, Who::Ours), (case, Who::Peer)), 4));
            let _ = writeln!(text, " {} |", cell(self.ratio((case, Who::Ours), (case, Who::Floor)), 2));
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

    /// Each goal, what was measured, and whether it is met.
    pub(crate) fn goals(&self, machine: &Machine) -> io::Result<String> {
        let ours = |case| (case, Who::Ours);
        let ratios = [
            ("1 secret, to sops-install-secrets", 0.10, self.ratio(ours("yaml-age-1"), ("yaml-age-1", Who::Peer))),
            ("100 secrets, to the same", 0.015, self.ratio(ours("yaml-age-100"), ("yaml-age-100", Who::Peer))),
            ("1,000 secrets, to the same", 0.002, self.ratio(ours("yaml-age-1000"), ("yaml-age-1000", Who::Peer))),
            ("10,000 secrets, to the floor", 1.6, self.ratio(ours("yaml-age-10000"), ("yaml-age-10000", Who::Floor))),
            ("10,000 secrets, to 1,000", 11.0, self.ratio(ours("yaml-age-10000"), ours("yaml-age-1000"))),
            ("second run, to the first", 0.6, self.ratio(("yaml-age-1000", Who::Again), ours("yaml-age-1000"))),
            ("64 MiB, to the ciphers", 1.5, self.ratio(ours("binary-age-64M"), ("binary-age-64M", Who::Ciphers))),
        ];
        let mut text = String::from("\n| goal | at most | measured | |\n|---|---:|---:|---|\n");
        let mut line = |goal: &str, most: f64, measured: Option<f64>, digits: usize| {
            let Some(measured) = measured else { return };
            let met = if measured <= most { "met" } else { "NOT MET" };
            let _ = writeln!(text, "| {goal} | {most} | {measured:.digits$} | {met} |");
        };
        for (goal, most, measured) in ratios {
            line(goal, most, measured, 4);
        }
        for (who, runs) in &self.gpg_runs {
            line(&format!("gpg runs for 100 secrets of one file, {}", who.name()), 1.0, Some(*runs as f64), 0);
        }
        for case in self.cases() {
            let most = 8.0 + 3.0 * largest_plaintext(machine, case)?;
            line(&format!("most memory, {case}, MiB"), (most * 10.0).round() / 10.0, self.peak(case, Who::Ours), 1);
        }
        let size = fs::metadata(&machine.ours)?.len() as f64 / f64::from(1 << 20);
        line("the program, MiB", 5.0, Some(size), 2);
        Ok(text)
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
