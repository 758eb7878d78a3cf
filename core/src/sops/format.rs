//! The formats of a sops file, and how a file's name tells its format.

use std::path::Path;

/// How a sops file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// INI.
    Ini,
    /// `KEY=value` lines.
    Dotenv,
    /// Any bytes, which sops wraps in a JSON object with the one key `data`.
    Binary,
    /// Not of sops: a plain age file, armored or binary, as agenix has them.
    Age,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Yaml, Self::Json, Self::Ini, Self::Dotenv, Self::Binary, Self::Age];

    /// The name that sops and manifests use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Ini => "ini",
            Self::Dotenv => "dotenv",
            Self::Binary => "binary",
            Self::Age => "age",
        }
    }

    /// The format called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether the file is one value, without keys.
    pub(super) fn is_one_value(self) -> bool {
        matches!(self, Self::Binary | Self::Age)
    }

    /// The format of a file by its name, as sops tells it (`FormatForPath`): by the ending alone, case counts, and
    /// what has no known ending is binary. The ending `.age`, which sops does not know, is agenix's.
    pub fn of_path(path: &Path) -> Self {
        let name = path.as_os_str().as_encoded_bytes();
        let ends = |ending: &str| name.ends_with(ending.as_bytes());
        if ends(".yaml") || ends(".yml") {
            Self::Yaml
        } else if ends(".json") {
            Self::Json
        } else if ends(".env") {
            Self::Dotenv
        } else if ends(".ini") {
            Self::Ini
        } else if ends(".age") {
            Self::Age
        } else {
            Self::Binary
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_decides_as_in_sops() {
        for (path, format) in [
            ("a/secrets.yaml", Format::Yaml),
            ("a.yml", Format::Yaml),
            (".env", Format::Dotenv),
            ("prod.env", Format::Dotenv),
            ("a.ini", Format::Ini),
            ("a.age", Format::Age),
            ("a.json", Format::Json),
            ("a.YAML", Format::Binary),
            ("secrets", Format::Binary),
        ] {
            assert_eq!(Format::of_path(Path::new(path)), format, "{path}");
        }
    }
}
