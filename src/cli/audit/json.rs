//! An audit for programs. It leaves nothing out.

use crate::audit::Report;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn of(report: &Report) -> anyhow::Result<String> {
    let people = report.people.all().iter().enumerate().map(|(position, person)| {
        let theirs = report.files.iter().filter(|secret| secret.people.contains(&position));
        let files: Vec<String> = theirs.map(|secret| text(&secret.path)).collect();
        json!({
            "recipient": person.recipient.text(),
            "name": person.name,
            "comment": person.comment,
            "alsoWritten": person.also,
            "namedIn": person.named_in.as_ref().map(|(path, line)| json!({ "file": text(path), "line": line })),
            "files": files,
        })
    });
    let files = report.files.iter().map(|secret| {
        let groups: Vec<Vec<&str>> =
            secret.file.groups.iter().map(|group| group.iter().map(|key| key.text()).collect()).collect();
        let rule = secret.rule.as_ref().map(|(path, number)| json!({ "file": text(path), "number": number }));
        let encryption = secret.file.written_rule.as_ref().map(|(name, text)| {
            Value::Object([((*name).to_owned(), Value::from(text.as_str()))].into_iter().collect())
        });
        json!({
            "path": text(&secret.path),
            "format": secret.file.format.name(),
            "lastModified": secret.file.last_modified,
            "keyGroups": groups,
            "groupsNeeded": secret.file.needed(),
            "rule": rule,
            "encryption": encryption,
            "macOnlyEncrypted": secret.file.mac_only_encrypted,
        })
    });
    let findings = report.findings.iter().map(|finding| {
        json!({
            "kind": finding.kind.name(),
            "file": text(&finding.file),
            "line": finding.line,
            "key": finding.key,
            "message": finding.what,
            "recipients": finding.recipients,
            "help": finding.help,
        })
    });
    let value = json!({
        "filesLookedAt": report.looked_at,
        "files": files.collect::<Vec<_>>(),
        "recipients": people.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// A path as text. JSON holds no other bytes, so what is not UTF-8 is shown as U+FFFD.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
