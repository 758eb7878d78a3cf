//! The recipients of a rule or of one of its key groups, as sops puts them together.

use super::decode::{self, Fields, Result};
use crate::audit::recipient::Recipient;
use crate::sops::store::yaml::syntax::Value;

/// The keys that stand in a rule itself. Each field may be text with commas or a list.
pub(super) fn of_rule(fields: &Fields<'_>, hckms: &[String]) -> Result<Vec<Recipient>> {
    let mut group = Vec::new();
    for (key, line) in fields.keys("age")? {
        group.push(age(&key, line)?);
    }
    for (key, line) in fields.keys("pgp")? {
        group.push(pgp(&key, line)?);
    }
    let without_spaces = |key: &str| key.replace(' ', "");
    for (field, service) in [("kms", "kms"), ("gcp_kms", "gcp_kms")] {
        group.extend(fields.keys(field)?.iter().map(|(key, _)| Recipient::remote(service, &without_spaces(key))));
    }
    group.extend(hckms.iter().flat_map(|keys| keys.split(',')).filter(|key| !key.trim().is_empty()).map(hckms_key));
    for (key, line) in fields.keys("azure_keyvault")? {
        group.push(azure(key.trim(), line)?);
    }
    for (key, line) in fields.keys("hc_vault_transit_uri")? {
        group.push(vault(key.trim(), line)?);
    }
    Ok(distinct(group))
}

/// Reads key groups, and notes what sops passes over in them.
#[derive(Default)]
pub(super) struct Groups<'s> {
    /// The names of fields that sops does not know, with their lines.
    pub(super) unknown: Vec<(&'s str, u32)>,
    read: usize,
}

impl<'s> Groups<'s> {
    /// One of `key_groups`: what it merges first, then its own keys, each once.
    pub(super) fn read(&mut self, value: Value<'s>) -> Result<Vec<Recipient>> {
        /// Aliases can lead a group into itself, or into so many that no file is meant so.
        const MOST: usize = 1000;
        self.read += 1;
        if self.read > MOST {
            return decode::all(value, format!("key groups merge more than {MOST} others"));
        }
        let fields = Fields::of(Some(value), "a key group")?;
        let known = ["merge", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault", "age", "pgp"];
        self.unknown.extend(fields.names().filter(|(name, _)| !known.contains(name)));
        let mut group = Vec::new();
        for merged in fields.list("merge")? {
            group.extend(self.read(merged)?);
        }
        own(&fields, &mut group)?;
        Ok(distinct(group))
    }
}

/// The keys that stand in a group itself.
fn own(fields: &Fields<'_>, group: &mut Vec<Recipient>) -> Result<()> {
    for item in fields.list("age")? {
        let text = decode::text(item, "age")?;
        if !text.is_empty() {
            for key in text.split(',') {
                group.push(age(key, item.line())?);
            }
        }
    }
    for item in fields.list("pgp")? {
        group.push(pgp(&decode::text(item, "pgp")?, item.line())?);
    }
    for item in fields.list("kms")? {
        let key = Fields::of(Some(item), "a key of kms")?;
        let (arn, role) = (key.text("arn")?, key.text("role")?);
        let role = if role.is_empty() { role } else { format!("+{role}") };
        group.push(Recipient::remote("kms", &format!("{arn}{role}")));
    }
    for item in fields.list("gcp_kms")? {
        group.push(Recipient::remote("gcp_kms", &Fields::of(Some(item), "a key of gcp_kms")?.text("resource_id")?));
    }
    for item in fields.list("hckms")? {
        group.push(hckms_key(&Fields::of(Some(item), "a key of hckms")?.text("key_id")?));
    }
    for item in fields.list("azure_keyvault")? {
        let key = Fields::of(Some(item), "a key of azure_keyvault")?;
        let (url, name, version) = (key.text("vaultUrl")?, key.text("key")?, key.text("version")?);
        let version = if version.is_empty() { version } else { format!("/{version}") };
        group.push(Recipient::remote("azure_kv", &format!("{}/keys/{name}{version}", url.trim_end_matches('/'))));
    }
    for item in fields.list("hc_vault")? {
        group.push(vault(&decode::text(item, "hc_vault")?, item.line())?);
    }
    Ok(())
}

fn age(text: &str, line: u32) -> Result<Recipient> {
    Recipient::age(text).or_else(|why| decode::rule(line, format!("`{}` {why}", shown(text))))
}

fn pgp(text: &str, line: u32) -> Result<Recipient> {
    match text.trim() {
        "" => decode::rule(line, "`pgp` has a key that is empty"),
        // In a rule itself they are parted; here the text is one name to sops, and gpg finds no such key.
        text if text.contains(',') => {
            decode::rule(line, "`pgp` of a key group takes a list, one fingerprint in each item")
        }
        text => Ok(Recipient::pgp(text)),
    }
}

fn azure(text: &str, line: u32) -> Result<Recipient> {
    match text.starts_with("https://") && text.contains("/keys/") {
        true => Ok(Recipient::remote("azure_kv", text.trim_end_matches('/'))),
        false => decode::rule(line, format!("`{}` is no key of Azure, https://VAULT/keys/NAME", shown(text))),
    }
}

fn vault(text: &str, line: u32) -> Result<Recipient> {
    match text.contains("://") && text.contains("/keys/") {
        true => Ok(Recipient::remote("hc_vault", text.trim_end_matches('/'))),
        false => decode::rule(line, format!("`{}` is no key of Vault, https://HOST/v1/ENGINE/keys/NAME", shown(text))),
    }
}

fn hckms_key(text: impl AsRef<str>) -> Recipient {
    Recipient::remote("hckms", text.as_ref())
}

/// The beginning of a text that should be a recipient, and may by mistake be a private key.
fn shown(text: &str) -> String {
    const SHOWN: usize = 20;
    let text = text.trim();
    if crate::identity::is_a_key(text) {
        return "a private key".to_owned();
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// sops keeps what stands twice in a rule without groups; who can decrypt is the same.
fn distinct(mut group: Vec<Recipient>) -> Vec<Recipient> {
    let mut seen = std::collections::BTreeSet::new();
    group.retain(|key| seen.insert(key.clone()));
    group
}
