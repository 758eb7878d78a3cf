//! The metadata of a sops file: who holds the data key, which values are encrypted, and the MAC.

use super::format::Format;
use super::rules::{self, Rule};
use super::time;
use super::tree::{Entry, Map, MapItem, Node, Scalar};
use super::{flatten, store};
use std::fmt;

/// What stands under `sops` in the file.
#[derive(Default)]
pub struct Metadata {
    /// The key groups. At least one; several are Shamir's groups.
    pub key_groups: Vec<KeyGroup>,
    /// How many groups are needed; 0 stands for all.
    pub shamir_threshold: usize,
    /// `lastmodified` as sops authenticates it, RFC 3339 without a fraction.
    pub last_modified: String,
    /// The encrypted MAC; empty where the file has none.
    pub mac: String,
    /// Whether the MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// Which values are encrypted.
    pub rule: Rule,
    /// The field that says so, and its text; `None` where the file has none.
    pub written_rule: Option<(&'static str, String)>,
}

/// Master keys of which any one opens the group.
#[derive(Default)]
pub struct KeyGroup(pub Vec<MasterKey>);

/// A key that holds the data key, or one share of it, in encrypted form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKey {
    /// An age recipient.
    Age {
        /// `age1…`, `age1pq1…`, `age1NAME1…`, `ssh-ed25519 …` or `ssh-rsa …`.
        recipient: String,
        /// An armored age file.
        enc: String,
    },
    /// An OpenPGP key.
    Pgp {
        /// Its fingerprint.
        fingerprint: String,
        /// An armored OpenPGP message.
        enc: String,
    },
    /// A key service in a network.
    Remote {
        /// The list it stands in: `kms`, `gcp_kms`, `azure_kv`, `hc_vault` or `hckms`.
        service: &'static str,
        /// Its name for people.
        name: String,
    },
}

/// The lists of remote key services, with the fields that name a key and what stands before each: together the name
/// that sops itself shows. A field that is empty is left out.
const REMOTE: [(&str, &[(&str, &str)]); 5] = [
    ("kms", &[("", "arn"), ("+", "role")]),
    ("gcp_kms", &[("", "resource_id")]),
    ("hckms", &[("", "key_id")]),
    ("azure_kv", &[("", "vault_url"), ("/keys/", "name"), ("/", "version")]),
    ("hc_vault", &[("", "vault_address"), ("/v1/", "engine_path"), ("/keys/", "key_name")]),
];

impl KeyGroup {
    /// The master keys in the order in which sops tries them: age, PGP, the rest; each kind in the file's order.
    pub fn in_order(&self) -> impl Iterator<Item = &MasterKey> {
        let rank = |key: &MasterKey| match key {
            MasterKey::Age { .. } => 0,
            MasterKey::Pgp { .. } => 1,
            MasterKey::Remote { .. } => 2,
        };
        (0..3).flat_map(move |wanted| self.0.iter().filter(move |key| rank(key) == wanted))
    }
}

impl MasterKey {
    /// What it holds in encrypted form; `None` for a key of a service.
    pub fn enc(&self) -> Option<&str> {
        match self {
            Self::Age { enc, .. } | Self::Pgp { enc, .. } => Some(enc),
            Self::Remote { .. } => None,
        }
    }

    /// Whether `name` is this key's: its recipient, or `pgp` and its fingerprint. An SSH recipient may have a comment.
    pub fn is_named(&self, name: &str) -> bool {
        match self {
            Self::Age { recipient, .. } if recipient.starts_with("ssh-") => {
                let parts = |text: &str| text.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
                parts(recipient) == parts(name)
            }
            Self::Age { recipient, .. } => recipient == name,
            Self::Pgp { .. } | Self::Remote { .. } => self.to_string().eq_ignore_ascii_case(name),
        }
    }
}

impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age { recipient, .. } if recipient.is_empty() => f.write_str("age, without a recipient"),
            Self::Age { recipient, .. } => f.write_str(recipient),
            Self::Pgp { fingerprint, .. } if fingerprint.is_empty() => f.write_str("pgp, without a fingerprint"),
            Self::Pgp { fingerprint, .. } => write!(f, "pgp {fingerprint}"),
            Self::Remote { service, name } if name.is_empty() => write!(f, "{service}, without a name"),
            Self::Remote { service, name } => write!(f, "{service} {name}"),
        }
    }
}

/// Why a file has no metadata that can be used.
#[derive(Debug, PartialEq, Eq)]
pub enum BadMetadata {
    /// There is none: the file is not one of sops.
    Missing,
    /// There is some, but it does not make sense. The text says why.
    Unusable(String),
}

/// Takes the metadata out of the documents.
///
/// YAML, JSON and binary hold it under `sops`, INI in the section `sops` in flattened form, dotenv in flattened keys
/// that begin with `sops_`. The first document's counts; `sops` is removed from the others too, as sops does.
pub(super) fn extract(documents: &mut [Map], format: Format) -> Result<Metadata, BadMetadata> {
    let metadata = if format == Format::Dotenv {
        let found =
            documents.first_mut().map(|map| take(map, |entry| entry.key.starts_with("sops_"))).unwrap_or_default();
        if found.is_empty() {
            return Err(BadMetadata::Missing);
        }
        flatten::unflatten(
            found.iter().map(|entry| (entry.key.get("sops_".len()..).unwrap_or_default(), &entry.value)),
            false,
        )
    } else {
        let mut found: Vec<Vec<Entry>> =
            documents.iter_mut().map(|map| take(map, |entry| entry.key == "sops")).collect();
        let mut first = if found.is_empty() { Vec::new() } else { found.swap_remove(0) };
        let map = match (first.pop(), first.is_empty()) {
            (Some(Entry { value: Node::Map(map), .. }), true) => map,
            (None, _) => return Err(BadMetadata::Missing),
            (Some(_), true) => return Err(BadMetadata::Unusable("it is not a map".into())),
            (Some(_), false) => return Err(BadMetadata::Unusable("it stands there twice".into())),
        };
        if format == Format::Ini {
            flatten::unflatten(map.entries().map(|entry| (entry.key.as_str(), &entry.value)), true)
        } else {
            Ok(map)
        }
    };
    metadata.and_then(|metadata| read(&metadata)).map_err(BadMetadata::Unusable)
}

/// Removes the entries that `wanted` picks, in their order.
fn take(map: &mut Map, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    map.0
        .extract_if(.., |item| matches!(item, MapItem::Entry(entry) if wanted(entry)))
        .filter_map(|item| match item {
            MapItem::Entry(entry) => Some(entry),
            MapItem::Comment(_) => None,
        })
        .collect()
}

fn read(map: &Map) -> Result<Metadata, String> {
    let last_modified = text(map, "lastmodified")?;
    let rules =
        rules::FIELDS.into_iter().map(|name| Ok((name, text(map, name)?))).collect::<Result<Vec<_>, String>>()?;
    let key_groups = key_groups(map)?;
    let shamir_threshold = number(map, "shamir_threshold")?;
    match (key_groups.len(), shamir_threshold) {
        (1, _) => {}
        (_, 1) => return Err("`shamir_threshold` is 1, and Shamir's secret sharing needs two groups at least".into()),
        (groups, wanted) if wanted > groups => {
            return Err(format!("`shamir_threshold` is {wanted}, and there are {groups} key groups"));
        }
        (_, threshold) => {
            let needed = if threshold == 0 { key_groups.len() } else { threshold };
            let usable = key_groups.iter().filter(|group| !group.0.is_empty()).count();
            if usable < needed {
                return Err(format!("{needed} of its key groups are needed, and {usable} of them name a master key"));
            }
        }
    }
    Ok(Metadata {
        key_groups,
        shamir_threshold,
        last_modified: match last_modified.as_str() {
            "" => return Err("`lastmodified` is missing".into()),
            text => time::without_fraction(text).ok_or("`lastmodified` is not an RFC 3339 time")?,
        },
        mac: text(map, "mac")?,
        mac_only_encrypted: boolean(map, "mac_only_encrypted")?,
        written_rule: rules.iter().find(|(_, text)| !text.is_empty()).cloned(),
        rule: Rule::from_metadata(rules)?,
    })
}

/// Lists of master keys at the top level are one group, and `key_groups` beside them is not looked at, as in sops.
fn key_groups(map: &Map) -> Result<Vec<KeyGroup>, String> {
    let top = key_group(map)?;
    if !top.0.is_empty() {
        return Ok(vec![top]);
    }
    let groups = maps(map, "key_groups")?.into_iter().map(key_group).collect::<Result<Vec<_>, _>>()?;
    match groups.len() {
        0 => Err("it names no master key (age, pgp, kms, …)".into()),
        1..=MOST_GROUPS => Ok(groups),
        many => Err(format!("it has {many} key groups, and Shamir's secret sharing knows {MOST_GROUPS} at most")),
    }
}

/// A share begins with a number of one byte, which is never 0.
const MOST_GROUPS: usize = 255;

/// How many master keys one group may have. Each is tried with each identity.
const MOST_KEYS: usize = 1000;

fn key_group(map: &Map) -> Result<KeyGroup, String> {
    let mut keys = Vec::new();
    for (service, fields) in REMOTE {
        for key in maps(map, service)? {
            let mut name = String::new();
            for (before, field) in fields {
                let part = text(key, field)?;
                if !part.is_empty() {
                    name += before;
                    name += &part;
                }
            }
            keys.push(MasterKey::Remote { service, name });
        }
    }
    for key in maps(map, "pgp")? {
        keys.push(MasterKey::Pgp { fingerprint: text(key, "fp")?, enc: text(key, "enc")? });
    }
    for key in maps(map, "age")? {
        keys.push(MasterKey::Age { recipient: text(key, "recipient")?, enc: text(key, "enc")? });
    }
    match keys.len() {
        ..=MOST_KEYS => Ok(KeyGroup(keys)),
        many => Err(format!("it names {many} master keys in one group, and {MOST_KEYS} are the most that are read")),
    }
}

/// The maps of the list `name`; none where it is missing or null.
fn maps<'a>(map: &'a Map, name: &str) -> Result<Vec<&'a Map>, String> {
    let not_maps = || format!("`{name}` is not a list of maps");
    match map.get(name) {
        None | Some(Node::Scalar(Scalar::Null)) => Ok(Vec::new()),
        Some(Node::List(list)) => list
            .values()
            .map(|value| match value {
                Node::Map(map) => Ok(map),
                _ => Err(not_maps()),
            })
            .collect(),
        Some(_) => Err(not_maps()),
    }
}

/// The text of the field `name`; empty where it is missing or null. A time is taken too: a YAML reader makes one of
/// an unquoted `lastmodified`.
fn text(map: &Map, name: &str) -> Result<String, String> {
    match map.get(name) {
        None | Some(Node::Scalar(Scalar::Null)) => Ok(String::new()),
        Some(Node::Scalar(Scalar::Str(text))) => {
            text.expose_text().map(str::to_owned).ok_or_else(|| format!("`{name}` is not UTF-8"))
        }
        Some(Node::Scalar(Scalar::Time(time))) => Ok(time.to_string()),
        Some(_) => Err(format!("`{name}` is not text")),
    }
}

/// The number in the field `name`, which flattened stores write as text; 0 where it is missing.
fn number(map: &Map, name: &str) -> Result<usize, String> {
    let number = match map.get(name) {
        None | Some(Node::Scalar(Scalar::Null)) => Some(0),
        Some(Node::Scalar(Scalar::Int(number))) => usize::try_from(**number).ok(),
        Some(Node::Scalar(Scalar::Str(text))) => text.expose_text().and_then(|text| text.parse().ok()),
        Some(_) => None,
    };
    number.ok_or_else(|| format!("`{name}` is not a whole number"))
}

/// The boolean in the field `name`, which flattened stores write as text; false where it is missing.
fn boolean(map: &Map, name: &str) -> Result<bool, String> {
    let boolean = match map.get(name) {
        None | Some(Node::Scalar(Scalar::Null)) => Some(false),
        Some(Node::Scalar(Scalar::Bool(boolean))) => Some(**boolean),
        Some(Node::Scalar(Scalar::Str(text))) => text.expose_text().and_then(|text| match text {
            "" => Some(false),
            text => store::go_number::parse_bool(text),
        }),
        Some(_) => None,
    };
    boolean.ok_or_else(|| format!("`{name}` is not a boolean"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::tree::List;

    fn string(text: &str) -> Node {
        Node::Scalar(Scalar::Str(text.into()))
    }

    fn map(entries: Vec<(&str, Node)>) -> Map {
        let entry = |(key, value): (&str, Node)| MapItem::Entry(Entry { key: key.into(), value, line: 0 });
        Map(entries.into_iter().map(entry).collect())
    }

    fn list(maps: Vec<Map>) -> Node {
        Node::List(List(maps.into_iter().map(|map| crate::sops::tree::ListItem::Value(Node::Map(map))).collect()))
    }

    fn age(recipient: &str) -> Map {
        map(vec![("recipient", string(recipient)), ("enc", string("armor"))])
    }

    const TIME: &str = "2026-11-20T08:50:00Z";

    #[test]
    fn sorts_master_keys_as_sops_tries_them() {
        let keys = map(vec![
            ("kms", list(vec![map(vec![("arn", string("arn:1"))])])),
            ("pgp", list(vec![map(vec![("fp", string("F1")), ("enc", string("e"))])])),
            ("age", list(vec![age("age1b"), age("age1a")])),
            ("lastmodified", string(TIME)),
        ]);
        let read = read(&keys).unwrap();
        let order: Vec<String> = read.key_groups[0].in_order().map(MasterKey::to_string).collect();
        assert_eq!(order, ["age1b", "age1a", "pgp F1", "kms arn:1"]);
    }

    #[test]
    fn keys_of_services_are_named_as_sops_names_them() {
        let of = |service: &str, fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(name, text)| (*name, string(text))).collect();
            let group = key_group(&map(vec![(service, list(vec![map(fields)]))])).unwrap();
            group.0[0].to_string()
        };
        assert_eq!(of("kms", &[("arn", "arn:1"), ("role", "arn:r")]), "kms arn:1+arn:r");
        assert_eq!(of("kms", &[("arn", "arn:1")]), "kms arn:1");
        let azure = [("vault_url", "https://v"), ("name", "k"), ("version", "1")];
        assert_eq!(of("azure_kv", &azure), "azure_kv https://v/keys/k/1");
        let vault = [("vault_address", "https://v"), ("engine_path", "transit"), ("key_name", "k")];
        assert_eq!(of("hc_vault", &vault), "hc_vault https://v/v1/transit/keys/k");
    }

    #[test]
    fn dotenv_metadata_is_flattened_and_all_text() {
        let mut documents = vec![map(vec![
            ("A", string("x")),
            ("sops_age__list_0__map_recipient", string("age1a")),
            ("sops_age__list_0__map_enc", string("armor\nmore")),
            ("sops_lastmodified", string(TIME)),
            ("sops_mac_only_encrypted", string("true")),
            ("sops_shamir_threshold", string("2")),
        ])];
        let read = extract(&mut documents, Format::Dotenv).unwrap();
        assert_eq!(read.key_groups[0].0, [MasterKey::Age { recipient: "age1a".into(), enc: "armor\nmore".into() }]);
        assert!(read.mac_only_encrypted);
        assert_eq!(read.shamir_threshold, 2);
        assert_eq!(documents[0].entries().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn says_what_is_wrong_with_metadata() {
        let why = |metadata: Vec<(&str, Node)>| {
            let mut documents = vec![map(vec![("sops", Node::Map(map(metadata)))])];
            match extract(&mut documents, Format::Yaml) {
                Err(BadMetadata::Unusable(why)) => why,
                _ => panic!("the metadata is not refused as unusable"),
            }
        };
        let keys = || ("age", list(vec![age("age1a")]));
        assert!(why(vec![("lastmodified", string(TIME))]).ends_with("it names no master key (age, pgp, kms, …)"));
        assert!(why(vec![keys()]).ends_with("`lastmodified` is missing"));
        assert!(why(vec![keys(), ("lastmodified", string("now"))]).ends_with("`lastmodified` is not an RFC 3339 time"));
        assert!(why(vec![("age", string("x"))]).ends_with("`age` is not a list of maps"));
        assert!(
            why(vec![keys(), ("lastmodified", string(TIME)), ("mac", Node::Map(Map::default()))])
                .ends_with("`mac` is not text")
        );
        let mut plain = vec![map(vec![("a", string("b"))])];
        assert_eq!(extract(&mut plain, Format::Yaml).err(), Some(BadMetadata::Missing));
    }
}
