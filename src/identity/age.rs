//! age identities: native ones, those of plugins, and files of either that are encrypted with a passphrase.

use super::age_file::{HIGHEST_WORK_FACTOR, decrypt, one_line, open, work_factor};
use super::found::Found;
use super::host::{Asking, Host};
use super::locked::{Lock, Locked};
use super::post_quantum::PostQuantum;
use super::ssh_key::Wrong;
use super::{Fit, Opener};
use crate::lookalike::Lookalike;
use crate::secret::SecretBytes;
use crate::sops::data_key::{Broken, Unwrapped};
use crate::sops::metadata::MasterKey;
use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, scrypt, x25519};
use age_core::primitives::bech32_decode;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// An age identity of any kind.
type BoxedIdentity = Box<dyn age::Identity + Send + Sync>;

/// An identity that opens age files without asking anyone.
pub(super) enum AgeKey {
    /// To work out its public form takes 7 % of the instructions of a run with one secret, and it is seldom asked for.
    X25519 { identity: x25519::Identity, recipient: OnceLock<String> },
    /// Any other, with its public form.
    Other { identity: BoxedIdentity, recipient: String },
}

impl AgeKey {
    /// Reads `AGE-SECRET-KEY-1…`. The error never holds the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let identity = x25519::Identity::from_str(text).map_err(|_| why_no_identity(text))?;
        Ok(Self::X25519 { identity, recipient: OnceLock::new() })
    }

    /// An identity whose public form is `recipient`.
    pub(super) fn new(identity: impl age::Identity + Send + Sync + 'static, recipient: String) -> Self {
        Self::Other { identity: Box::new(identity), recipient }
    }

    /// The public form, such as `age1…`.
    pub(super) fn public(&self) -> &str {
        match self {
            Self::X25519 { identity, recipient } => recipient.get_or_init(|| identity.to_public().to_string()),
            Self::Other { recipient, .. } => recipient,
        }
    }

    fn identity(&self) -> &dyn age::Identity {
        match self {
            Self::X25519 { identity, .. } => identity,
            Self::Other { identity, .. } => &**identity,
        }
    }
}

impl Opener for AgeKey {
    fn fits(&self, key: &MasterKey) -> Fit {
        match key {
            MasterKey::Age { .. } => Fit::Free,
            _ => Fit::No,
        }
    }

    fn is_named(&self, key: &MasterKey) -> bool {
        matches!(key, MasterKey::Age { .. }) && key.is_named(self.public())
    }

    fn open(&self, key: &MasterKey) -> Unwrapped {
        unwrap(key, self.identity())
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        whole_file(file, self.identity())
    }

    fn is_costly(&self) -> bool {
        false
    }

    fn recipient(&self) -> Option<String> {
        Some(self.public().to_owned())
    }
}

/// Opens a master key with any age identity.
pub(super) fn unwrap(key: &MasterKey, identity: &dyn age::Identity) -> Unwrapped {
    let MasterKey::Age { enc, .. } = key else { return Unwrapped::NotMine };
    // A data key has 32 bytes, a share of one 33. More is not read.
    const LONGEST: usize = 64;
    if enc.trim().is_empty() {
        return Broken::File("its `enc` is empty".to_owned()).into();
    }
    match decrypt(enc.as_bytes(), identity, LONGEST) {
        Ok(share) => Unwrapped::Opened(share),
        Err(why) => not_opened("its `enc`", &why),
    }
}

/// Decrypts a whole age file with any age identity.
fn whole_file(file: &[u8], identity: &dyn age::Identity) -> Unwrapped {
    match decrypt(file, identity, file.len()) {
        Ok(plain) => Unwrapped::Opened(plain),
        Err(why) => not_opened("it", &why),
    }
}

/// What an error says of `what`, the age file that did not open.
fn not_opened(what: &str, why: &DecryptError) -> Unwrapped {
    match why {
        DecryptError::NoMatchingKeys => Unwrapped::NotMine,
        DecryptError::Plugin(_) | DecryptError::PluginResolve(_) => Broken::Identity(one_line(why)).into(),
        why => Broken::File(format!("{what} cannot be used: {}", one_line(why))).into(),
    }
}

/// Whether a text is an age recipient, as far as its check sum tells: of a key, of a post-quantum key or of a plugin.
pub(crate) fn is_recipient(text: &str) -> bool {
    let is_known = |prefix: &str| prefix == "age" || prefix.starts_with("age1");
    bech32_decode(text, |_| (), |prefix| is_known(prefix.as_str()).then_some(()).ok_or(()), |_, _| Ok(())).is_ok()
}

/// The identity of a plugin, `AGE-PLUGIN-NAME-1…`.
struct PluginKey {
    plugin: String,
    identity: age::plugin::Identity,
    host: Arc<dyn Host>,
    /// One run at a time, also where several files are opened at once: there may be one device behind it.
    running: Mutex<()>,
}

impl PluginKey {
    fn with_plugin(&self, open: impl FnOnce(&dyn age::Identity) -> Unwrapped) -> Unwrapped {
        let _one_at_a_time = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let asking = Asking(Arc::clone(&self.host));
        match age::plugin::IdentityPluginV1::new(&self.plugin, std::slice::from_ref(&self.identity), asking) {
            Ok(plugin) => {
                let _waiting = self.host.wait_for(&format!("age-plugin-{}", self.plugin));
                open(&plugin)
            }
            Err(_) => Broken::Identity(format!("the plugin age-plugin-{} is not on the PATH", self.plugin)).into(),
        }
    }
}

impl Opener for PluginKey {
    /// A plugin's own recipients are `age1NAME1…`. A plugin may also hold a native key in hardware (`age1…`), or one of
    /// those that age defines for such (`age1tag1…`, `age1tagpq1…`). Recipients of other plugins are left out.
    fn fits(&self, key: &MasterKey) -> Fit {
        let MasterKey::Age { recipient, .. } = key else { return Fit::No };
        let of_plugin = recipient.strip_prefix("age1").and_then(|rest| rest.rsplit_once('1')).map(|(name, _)| name);
        match of_plugin {
            Some(name) if name == self.plugin || ["tag", "tagpq"].contains(&name) => Fit::Costly,
            None if recipient.starts_with("age1") => Fit::Costly,
            _ => Fit::No,
        }
    }

    fn open(&self, key: &MasterKey) -> Unwrapped {
        self.with_plugin(|plugin| unwrap(key, plugin))
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        self.with_plugin(|plugin| whole_file(file, plugin))
    }

    fn is_costly(&self) -> bool {
        true
    }
}

/// A file of identities that is encrypted with a passphrase.
struct LockedFile(SecretBytes);

impl Lock for LockedFile {
    fn kind(&self) -> &'static str {
        "identity file"
    }

    fn unlocked_by(&self, passphrase: &SecretBytes, origin: &str, host: &Arc<dyn Host>) -> Result<Vec<Found>, Wrong> {
        let Self(file) = self;
        // age takes only text.
        let passphrase = passphrase.expose_text().ok_or(Wrong::Passphrase)?;
        let mut identity = scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
        identity.set_max_work_factor(HIGHEST_WORK_FACTOR);
        let plain = decrypt(file.expose(), &identity, file.len()).map_err(|why| match why {
            DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed => Wrong::Passphrase,
            why => Wrong::Key(one_line(&why)),
        })?;
        let (found, problems) = parse(&plain, origin, host);
        match problems.into_iter().next() {
            Some(problem) if found.is_empty() => Err(Wrong::Key(problem)),
            _ => Ok(found),
        }
    }

    fn may_fit(&self, key: &MasterKey) -> bool {
        matches!(key, MasterKey::Age { .. })
    }
}

/// How many identities a text may hold. Each is tried with each master key.
const MOST_IDENTITIES: usize = 1000;

/// How many of its lines are spoken of that are no identity. A file of something else has thousands.
const SHOWN: usize = 5;

/// What is wrong with a text that should be an identity. Nothing of it is told.
fn why_no_identity(text: &str) -> String {
    const BEGINNING: &str = "AGE-SECRET-KEY-1";
    /// Of an X25519 identity.
    const LENGTH: usize = 74;
    let length = text.chars().count();
    match () {
        () if text.starts_with('\u{feff}') => {
            "begins with a byte order mark: save the file as UTF-8 without one".to_owned()
        }
        () if text.starts_with(BEGINNING) && length != LENGTH => {
            format!(
                "is an age identity that was copied badly: it has {length} characters, and there should be {LENGTH}"
            )
        }
        () if text.starts_with(BEGINNING) => {
            "is an age identity that is damaged: its checksum does not fit; take a good copy of it".to_owned()
        }
        () if text.contains(BEGINNING) => {
            format!(
                "holds something around an age identity: nothing may stand before {BEGINNING} or behind the identity"
            )
        }
        () if text.starts_with("age1") => {
            format!("is an age recipient, which is public; the identity begins with {BEGINNING}")
        }
        () => format!("is no age identity, which begins with {BEGINNING}"),
    }
}

/// Reads a text of identities: one a line, or several parted by blanks, as sops takes them in a variable. Empty lines
/// and lines that begin with `#` are left out. Gives the identities and, for each part that is none, what is wrong.
pub(super) fn parse(text: &SecretBytes, origin: &str, host: &Arc<dyn Host>) -> (Vec<Found>, Vec<String>) {
    let bytes = text.expose();
    if bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") || bytes.starts_with(b"age-encryption.org/") {
        return match open(bytes) {
            Ok(file) if file.is_scrypt() && work_factor(bytes).is_some_and(|factor| factor > HIGHEST_WORK_FACTOR) => {
                let why = format!("takes more work to open than 2^{HIGHEST_WORK_FACTOR} steps, the most that is done");
                (Vec::new(), vec![why])
            }
            Ok(file) if file.is_scrypt() => {
                let locked = Locked::new(LockedFile(text.clone()), Vec::new(), origin, host);
                (vec![Found::named("an encrypted identity file".into(), locked)], Vec::new())
            }
            Ok(_) => (Vec::new(), vec![
                "is encrypted to a key, and an identity file may only be encrypted with a passphrase: decrypt it with `age`"
                    .into(),
            ]),
            Err(why) => {
                (Vec::new(), vec![format!(
                    "is an encrypted identity file that is damaged; take a good copy of it: {}",
                    one_line(&why)
                )])
            }
        };
    }
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let lookalike = || Lookalike::of(bytes).filter(|kind| !matches!(kind, Lookalike::AgeIdentities | Lookalike::Pem));
    let Some(text) = text.expose_text() else {
        let advice = lookalike().map(|kind| format!(": {}", kind.advice("a key file"))).unwrap_or_default();
        return (found, vec![format!("holds bytes that are not text{advice}")]);
    };
    let mut more = 0;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
        let mut problem = None;
        for word in line.split_whitespace() {
            match identity(word, host) {
                Ok(identity) => found.push(identity),
                // A line of prose has many words.
                Err(why) => problem = problem.or(Some(why)),
            }
            if found.len() > MOST_IDENTITIES {
                return (
                    Vec::new(),
                    vec![format!("holds more than {MOST_IDENTITIES} identities, the most that are read")],
                );
            }
        }
        match problem {
            Some(why) if problems.len() < SHOWN => problems.push(format!("line {} {why}", number + 1)),
            problem => more += usize::from(problem.is_some()),
        }
    }
    if more > 0 {
        problems.push(format!("{more} more of its lines are no identity either"));
    }
    if let (true, Some(kind)) = (found.is_empty(), lookalike()) {
        return (found, vec![format!("holds no identity: {}", kind.advice("a key file"))]);
    }
    if found.is_empty() && problems.is_empty() {
        problems.push("holds no identity".into());
    }
    (found, problems)
}

/// Makes a new X25519 identity. Gives its text and its recipient.
pub fn generate() -> (SecretBytes, String) {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    (SecretBytes::from(identity.to_string().expose_secret()), recipient)
}

// Its keys take 20 KiB of stack, which every identity would pay for that is read where this is inlined.
#[inline(never)]
fn post_quantum(text: &str) -> Result<AgeKey, String> {
    let key = PostQuantum::parse(text)?;
    let recipient = key.recipient();
    Ok(AgeKey::new(key, recipient))
}

fn identity(text: &str, host: &Arc<dyn Host>) -> Result<Found, String> {
    if text.starts_with("AGE-PLUGIN-") {
        let identity =
            age::plugin::Identity::from_str(text).map_err(|why| format!("is no identity of a plugin: {why}"))?;
        let plugin = identity.plugin().to_owned();
        let name = format!("the plugin age-plugin-{plugin}");
        return Ok(Found::named(
            name,
            PluginKey { plugin, identity, host: Arc::clone(host), running: Mutex::default() },
        ));
    }
    Ok(Found::new(match text.starts_with("AGE-SECRET-KEY-PQ-1") {
        true => post_quantum(text)?,
        false => AgeKey::parse(text)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::load::tests::Machine;

    /// A throwaway key, made for the tests.
    const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    fn parsed(text: &str) -> (usize, Vec<String>) {
        let host: Arc<dyn Host> = Arc::new(Machine::default());
        let (found, problems) = parse(&SecretBytes::from(text), "test", &host);
        (found.len(), problems)
    }

    #[test]
    fn reads_several_identities_and_comments() {
        assert_eq!(parsed(&format!("# created: today\n{KEY}\n\n  {KEY}\r\n{KEY} {KEY}")), (4, vec![]));
    }

    #[test]
    fn names_the_lines_that_are_no_identity_and_keeps_the_others() {
        let (found, problems) = parsed(&format!("AGE-PLUGIN-YUBIKEY\n{KEY}\nAGE-SECRET-KEY-1GARBAGE"));
        assert_eq!(found, 1);
        assert!(problems[0].starts_with("line 1 is no identity of a plugin: "), "{problems:?}");
        assert!(problems[1].starts_with("line 3 is an age identity that was copied badly: it has 23 characters"));
        assert!(!problems[1].contains("GARBAGE"));
        assert_eq!(parsed("# only a comment\n"), (0, vec!["holds no identity".into()]));
        let (found, problems) = parsed("age-encryption.org/v1\n");
        assert!(
            found == 0
                && problems[0].starts_with("is an encrypted identity file that is damaged; take a good copy of it: "),
            "{problems:?}"
        );
    }

    #[test]
    fn a_plugin_is_asked_only_where_it_may_fit() {
        let host: Arc<dyn Host> = Arc::new(Machine::default());
        let identity = age::plugin::Identity::default_for_plugin("yubikey").unwrap();
        let key = PluginKey { plugin: "yubikey".into(), identity, host, running: Mutex::default() };
        let fits = |recipient: &str| key.fits(&MasterKey::Age { recipient: recipient.into(), enc: String::new() });
        assert!(fits("age1yubikey1qqq") == Fit::Costly);
        assert!(fits("age1qqq") == Fit::Costly);
        assert!(fits("age1tag1qqq") == Fit::Costly);
        assert!(fits("age1tpm1qqq") == Fit::No);
        assert!(fits("ssh-ed25519 AAAA") == Fit::No);
    }
}
