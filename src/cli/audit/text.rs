//! An audit for a terminal.

use super::super::table::table;
use crate::audit::compare::opens;
use crate::audit::finding::{Finding, Kind};
use crate::audit::{Report, Secret};
use crate::error::{printable, quoted};
use std::collections::BTreeMap;

/// Files that the same people can decrypt in the same way.
pub(super) struct Group<'a> {
    /// The people of each key group, by their positions.
    pub(super) people: Vec<Vec<usize>>,
    /// How many key groups it takes.
    pub(super) needed: usize,
    pub(super) files: Vec<&'a Secret>,
}

/// The groups, in the order of their first files.
pub(super) fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut positions: BTreeMap<(Vec<Vec<usize>>, usize), usize> = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for secret in &report.files {
        let people = secret.file.groups.iter().map(|group| {
            let mut people: Vec<usize> = group.iter().filter_map(|key| report.people.position(key)).collect();
            people.sort_unstable();
            people.dedup();
            people
        });
        let (people, needed) = (people.collect::<Vec<_>>(), secret.file.needed());
        let position = *positions.entry((people.clone(), needed)).or_insert(groups.len());
        match groups.get_mut(position) {
            Some(group) => group.files.push(secret),
            None => groups.push(Group { people, needed, files: vec![secret] }),
        }
    }
    groups
}

impl Group<'_> {
    /// What stands in the matrix for a person: `x`, or the numbers of key groups where there are several.
    pub(super) fn mark(&self, person: usize) -> Option<String> {
        let numbers = (1..).zip(&self.people).filter(|(_, group)| group.contains(&person));
        let numbers: Vec<String> = numbers.map(|(number, _)| number.to_string()).collect();
        match self.people.len() {
            _ if numbers.is_empty() => None,
            0 | 1 => Some("x".to_owned()),
            _ => Some(numbers.join("+")),
        }
    }
}

/// The matrix, the files and the findings.
pub(super) fn of(report: &Report) -> String {
    let groups = groups(report);
    let mut text = matrix(report, &groups);
    text += &files(&groups);
    text += &findings(report);
    text + &summary(report)
}

/// One row for each person, one column for each group of files. Many groups are shown in several pieces.
fn matrix(report: &Report, groups: &[Group<'_>]) -> String {
    const COLUMNS: usize = 16;
    let mut text = String::new();
    for (piece, columns) in groups.chunks(COLUMNS).enumerate() {
        let first = piece * COLUMNS + 1;
        let mut header = vec!["WHO CAN DECRYPT".to_owned(), "KEY".to_owned()];
        header.extend((first..).zip(columns).map(|(number, _)| number.to_string()));
        let mut rows = vec![header];
        for (position, person) in report.people.all().iter().enumerate() {
            let marks: Vec<Option<String>> = columns.iter().map(|group| group.mark(position)).collect();
            if marks.iter().all(Option::is_none) {
                continue;
            }
            let (label, key) = (person.label(), person.recipient.short());
            let label = match &person.comment {
                Some(comment) if person.name.is_some() && *comment != label => format!("{label} ({comment})"),
                _ if label == key => "-".to_owned(),
                _ => label,
            };
            let marks = marks.into_iter().map(|mark| mark.unwrap_or_else(|| ".".to_owned()));
            rows.push([label, key].into_iter().chain(marks).collect());
        }
        text += &table(&rows);
        text += "\n";
    }
    text
}

/// What the columns of the matrix are. The JSON and the page have every file.
fn files(groups: &[Group<'_>]) -> String {
    const SHOWN: usize = 12;
    let mut text = String::new();
    for (number, group) in (1..).zip(groups) {
        let count = group.files.len();
        let files = if count == 1 { "file" } else { "files" };
        let opens = match group.people.len() {
            0 | 1 => String::new(),
            groups => format!(", {}", opens(groups, group.needed)),
        };
        text += &format!("{number}: {count} {files}{opens}\n");
        for secret in group.files.iter().take(SHOWN) {
            let date = secret.file.last_modified.get(..10).unwrap_or("?");
            text += &printable(&format!("   {date}  {}", secret.path.display()));
            text += "\n";
        }
        if count > SHOWN {
            text += &format!("   and {} more; --json and --html have them all\n", count - SHOWN);
        }
    }
    if !groups.is_empty() {
        text += "   (each with the date of its last change)\n\n";
    }
    text
}

fn findings(report: &Report) -> String {
    let mut text = String::new();
    for kind in Kind::ALL {
        // What is the same of many files is said once.
        let mut positions: BTreeMap<(&str, Vec<String>), usize> = BTreeMap::new();
        let mut alike: Vec<Vec<&Finding>> = Vec::new();
        for finding in report.findings.iter().filter(|finding| finding.kind == kind) {
            let position = *positions.entry((&finding.what, help_for_any(finding))).or_insert(alike.len());
            match alike.get_mut(position) {
                Some(alike) => alike.push(finding),
                None => alike.push(vec![finding]),
            }
        }
        if !alike.is_empty() {
            text += &format!("{} [{}]\n", kind.heading(), kind.name());
        }
        text.extend(alike.iter().map(|alike| together(alike)));
    }
    if !text.is_empty() {
        text += "\n";
    }
    text
}

/// What to do, with `FILE` in place of the file's name.
fn help_for_any(finding: &Finding) -> Vec<String> {
    let file = quoted(&finding.file);
    finding.help.iter().map(|help| help.replace(&file, "FILE")).collect()
}

/// Findings that are one but for the name of the file.
fn together(alike: &[&Finding]) -> String {
    let place = |finding: &Finding| {
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}", finding.file.display())
    };
    let mut lines = Vec::new();
    let help = match alike {
        [] => Vec::new(),
        [finding] => {
            lines.push(format!("  {}: {}", place(finding), finding.what));
            finding.help.clone()
        }
        [first, ..] => {
            lines.push(format!("  {} files: {}", alike.len(), first.what));
            lines.extend(alike.iter().map(|finding| format!("    {}", place(finding))));
            help_for_any(first)
        }
    };
    lines.extend(help.iter().map(|help| format!("    help: {help}")));
    lines.iter().map(|line| printable(line) + "\n").collect()
}

fn summary(report: &Report) -> String {
    let files = report.files.len();
    let looked = format!("{} of {} files are of sops", files, report.looked_at);
    let counts = Kind::ALL.into_iter().filter_map(|kind| {
        let count = report.findings.iter().filter(|finding| finding.kind == kind).count();
        (count > 0).then(|| format!("{count} {}", kind.name()))
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    match report.findings.len() {
        0 => format!("nothing was found; {looked}\n"),
        1 => format!("1 finding ({counts}); {looked}\n"),
        all => format!("{all} findings ({counts}); {looked}\n"),
    }
}
