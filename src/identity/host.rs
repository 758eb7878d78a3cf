//! What identities need of the machine: files, programs, and a person to ask.

use crate::secret::SecretBytes;
use age::Callbacks;
use age::secrecy::SecretString;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// The machine, as far as identities need it. Tests have their own.
pub trait Host: Send + Sync {
    /// Gives the bytes of a file.
    fn read(&self, path: &Path) -> io::Result<SecretBytes>;

    /// Runs a program, gives it `call.input`, and waits for its end.
    fn run(&self, call: &Call<'_>) -> io::Result<Finished>;

    /// Asks a person for a secret. The error says why there is no answer.
    fn ask(&self, question: &str) -> Result<SecretBytes, String>;

    /// Asks a person to confirm something; `None` where nobody can be asked.
    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool>;

    /// Shows a person a message, such as that a key wants to be touched.
    fn show(&self, message: &str);

    /// Tells a person that this waits for `what`, if it still does after a second. [`Self::run`] does that by itself.
    fn wait_for(&self, _what: &str) -> Waiting {
        Waiting::default()
    }
}

/// The wait ends when this is dropped.
#[derive(Default)]
pub struct Waiting {
    _end: Option<Sender<()>>,
}

impl Waiting {
    /// A wait whose end the receiver of this channel is told by being disconnected.
    pub fn until_dropped(end: Sender<()>) -> Self {
        Self { _end: Some(end) }
    }
}

/// A program to run.
pub struct Call<'a> {
    /// Its name or path.
    pub program: OsString,
    /// Its arguments. They can be seen by every user of the machine, so no secret may stand there.
    pub arguments: Vec<OsString>,
    /// Variables to set beside those that are there.
    pub variables: Vec<(&'a str, OsString)>,
    /// What it reads from standard input.
    pub input: &'a [u8],
}

/// A program that has ended.
pub struct Finished {
    /// Whether it ended well.
    pub succeeded: bool,
    /// What it wrote to standard output.
    pub output: SecretBytes,
    /// The last line that it wrote to standard error, for people, without control characters.
    pub complaint: String,
}

/// Lets the `age` crate ask through a [`Host`].
#[derive(Clone)]
pub(super) struct Asking(pub(super) Arc<dyn Host>);

impl Callbacks for Asking {
    fn display_message(&self, message: &str) {
        self.0.show(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.confirm(message, yes, no)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        let answer = self.0.ask(description).ok()?;
        answer.expose_text().map(str::to_owned)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let answer = self.0.ask(description).ok()?;
        answer.expose_text().map(|text| SecretString::from(text.to_owned()))
    }
}
