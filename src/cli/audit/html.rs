//! An audit as one page: without scripts, without anything from elsewhere, for light and dark screens and for paper.

use super::text::{Group, groups};
use crate::audit::Report;
use crate::audit::compare::opens;
use crate::audit::finding::{Finding, Kind};
use crate::error::printable;
use std::fmt::Write;

/// Everything in the page that is not ours goes through [`escaped`].
pub(super) fn page(report: &Report, directory: &str) -> String {
    let mut page = String::from(HEAD);
    let groups = groups(report);
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<h1>Who can decrypt what</h1>\n<p>{} of {} files below <code>{}</code> are encrypted with sops. {}</p>\n",
        report.files.len(),
        report.looked_at,
        escaped(directory),
        match report.findings.len() {
            0 => "Nothing was found.".to_owned(),
            1 => "There is <a href=\"#findings\">1 finding</a>.".to_owned(),
            count => format!("There are <a href=\"#findings\">{count} findings</a>."),
        }
    );
    matrix(&mut page, report, &groups);
    findings(&mut page, report);
    recipients(&mut page, report);
    page += "</body>\n</html>\n";
    page
}

/// One row for each file, one column for each person; files of the same people stand together.
fn matrix(page: &mut String, report: &Report, groups: &[Group<'_>]) {
    let all = report.people.all();
    let shown: Vec<usize> =
        (0..all.len()).filter(|person| groups.iter().any(|group| group.mark(*person).is_some())).collect();
    if shown.is_empty() {
        return;
    }
    *page += "<h2>Files and recipients</h2>\n<div class=\"wide\"><table class=\"matrix\">\n<thead><tr><th>file</th><th>last change</th>";
    for person in shown.iter().filter_map(|position| all.get(*position)) {
        let _ = write!(
            page,
            "<th class=\"who\" title=\"{}\"><span>{}</span></th>",
            escaped(person.recipient.text()),
            escaped(&person.label())
        );
    }
    *page += "</tr></thead>\n";
    for group in groups {
        *page += "<tbody>\n";
        if group.people.len() > 1 {
            let _ = writeln!(
                page,
                "<tr><td class=\"note\" colspan=\"{}\">of each of these, {}; the numbers are those of the groups</td></tr>",
                shown.len() + 2,
                escaped(&opens(group.people.len(), group.needed))
            );
        }
        for secret in &group.files {
            let date = secret.file.last_modified.get(..10).unwrap_or("?");
            let _ = write!(
                page,
                "<tr><td class=\"path\">{}</td><td class=\"date\">{}</td>",
                escaped(&secret.path.display().to_string()),
                escaped(date)
            );
            for person in &shown {
                match group.mark(*person).as_deref() {
                    Some("x") => *page += "<td class=\"yes\">●</td>",
                    Some(numbers) => {
                        let _ = write!(page, "<td class=\"yes\">{}</td>", escaped(numbers));
                    }
                    None => *page += "<td></td>",
                }
            }
            *page += "</tr>\n";
        }
        *page += "</tbody>\n";
    }
    *page += "</table></div>\n";
}

fn findings(page: &mut String, report: &Report) {
    *page += "<h2 id=\"findings\">Findings</h2>\n";
    if report.findings.is_empty() {
        *page += "<p>Nothing was found.</p>\n";
    }
    for kind in Kind::ALL {
        let of_kind: Vec<&Finding> = report.findings.iter().filter(|finding| finding.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let _ = write!(
            page,
            "<section>\n<h3>{} <small>{} · {}</small></h3>\n<ul>\n",
            escaped(kind.heading()),
            kind.name(),
            of_kind.len()
        );
        for finding in of_kind {
            let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
            let _ = write!(
                page,
                "<li><span class=\"path\">{}{line}</span>: {}",
                escaped(&finding.file.display().to_string()),
                with_code(&finding.what)
            );
            for help in &finding.help {
                let _ = write!(page, "<p class=\"help\">{}</p>", with_code(help));
            }
            *page += "</li>\n";
        }
        *page += "</ul>\n</section>\n";
    }
}

fn recipients(page: &mut String, report: &Report) {
    *page += "<h2>Recipients</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>name</th><th>comment</th><th>key</th><th>files</th></tr></thead>\n<tbody>\n";
    for (position, person) in report.people.all().iter().enumerate() {
        let files = report.files.iter().filter(|secret| secret.people.contains(&position)).count();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"key\">{}</td><td class=\"number\">{files}</td></tr>",
            escaped(person.name.as_deref().unwrap_or_default()),
            escaped(person.comment.as_deref().unwrap_or_default()),
            escaped(person.recipient.text()),
        );
    }
    *page += "</tbody></table></div>\n";
}

/// Text as it may stand in a page, also within quotes.
fn escaped(text: &str) -> String {
    printable(text).chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}

/// The same, with what stands in backquotes as code. A name may hold a backquote itself; then the marks are off, and that
/// is all.
fn with_code(text: &str) -> String {
    let mut page = String::new();
    for (position, part) in text.split('`').enumerate() {
        let part = escaped(part);
        match position % 2 {
            0 => page += &part,
            _ => {
                let _ = write!(page, "<code>{part}</code>");
            }
        }
    }
    page
}

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<title>Who can decrypt what</title>
<style>
:root { color-scheme: light dark; --line: #d0d0d0; --soft: #666; --band: #f3f3f3; --yes: #0a6b2d; --worst: #a40000; }
@media (prefers-color-scheme: dark) {
  :root { --line: #444; --soft: #aaa; --band: #222; --yes: #6fd08c; --worst: #ff8a80; }
}
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
small { color: var(--soft); font-weight: normal; }
code, .path, .key { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .15rem .5rem; text-align: left; vertical-align: bottom; }
.matrix tbody { border-top: 3px solid var(--soft); }
.matrix tbody tr:nth-child(even) { background: var(--band); }
.matrix .who { padding: .4rem .1rem; } .who span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
.yes { color: var(--yes); text-align: center; } .date { white-space: nowrap; } .number { text-align: right; }
.note, .help { color: var(--soft); } .help { margin: .1rem 0 .1rem 1rem; }
ul { padding-left: 1.2rem; } li { margin-bottom: .5rem; }
section:first-of-type h3 { color: var(--worst); }
@media print {
  body { margin: 0; max-width: none; font-size: 10px; } .wide { overflow: visible; }
  thead { display: table-header-group; } tr, li { break-inside: avoid; } h2, h3 { break-after: avoid; }
}
</style>
</head>
<body>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_becomes_markup() {
        assert_eq!(escaped("<a href=\"x\">&'\u{1b}"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\\u{1b}");
        assert_eq!(with_code("run `a <b>` now"), "run <code>a &lt;b&gt;</code> now");
        assert_eq!(with_code("`<script>"), "<code>&lt;script&gt;</code>");
    }
}
