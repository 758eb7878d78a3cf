//! The commands that mend what was found, as a person can paste them.

use super::config::Config;
use crate::error::quoted;
use crate::sops::format::Format;
use std::path::{Path, PathBuf};

/// Writes commands for where the program was started.
pub struct Commands {
    /// The `.sops.yaml` that sops finds from there, absolute. sops looks upwards from the directory it is run in, not from
    /// the file's; where a file's own is another one, a command must name it.
    pub config_here: Option<PathBuf>,
}

impl Commands {
    /// Gives the file the recipients of its rule.
    pub fn update_keys(&self, config: &Config, file: &Path, format: Option<Format>) -> String {
        format!("`{} updatekeys{} {}`", self.sops(config), input_type(file, format), quoted(file))
    }

    /// Encrypts a file that is in clear.
    pub fn encrypt(&self, config: &Config, file: &Path) -> String {
        format!("`{} encrypt --in-place {}`", self.sops(config), quoted(file))
    }

    /// Encrypts a file anew by its rule, with nothing in clear on the disk. `updatekeys` changes neither the threshold nor
    /// what is encrypted. Without `pipefail` a file that does not decrypt would be replaced by an empty one.
    pub fn encrypt_anew(&self, config: &Config, file: &Path, format: Format) -> String {
        let new = PathBuf::from(format!("{}.new", file.display()));
        let (file_type, file, new) = (types(file, Some(format)), quoted(file), quoted(&new));
        format!(
            "`(set -o pipefail; sops decrypt{file_type} {file} | {} encrypt{file_type} --filename-override {file} --output {new}) && mv {new} {file}`",
            self.sops(config)
        )
    }

    fn sops(&self, config: &Config) -> String {
        let own = config.directory.join(".sops.yaml");
        match self.config_here.as_ref() == Some(&own) {
            true => "sops".to_owned(),
            false => format!("sops --config {}", quoted(&config.path)),
        }
    }
}

/// Gives a file a new data key.
pub fn rotate(file: &Path, format: Format) -> String {
    format!("`sops rotate --in-place{} {}`", types(file, Some(format)), quoted(file))
}

/// Opens a file in an editor.
pub fn edit(file: &Path, format: Option<Format>) -> String {
    format!("`sops edit{} {}`", types(file, format), quoted(file))
}

/// What sops must be told of a file whose name does not say how it is written.
fn input_type(file: &Path, format: Option<Format>) -> String {
    match format {
        Some(format) if format != Format::of_path(file) => format!(" --input-type {}", format.name()),
        _ => String::new(),
    }
}

fn types(file: &Path, format: Option<Format>) -> String {
    match (input_type(file, format), format) {
        (input, Some(format)) if !input.is_empty() => format!("{input} --output-type {}", format.name()),
        _ => String::new(),
    }
}
