//! Where identities come from.

use super::command::{KeyCommand, Prints};
use super::gpg::Gpg;
use super::host::Host;
use super::{Identities, Variables, age, ssh};
use crate::manifest::KeySources;
use crate::secret::SecretBytes;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Identities {
    /// Reads all sources: those that the manifest names, the variables that sops honours, and, where they are given, the
    /// places where sops looks by itself.
    ///
    /// A source that cannot be read or used is no error here: another may open the files. It is kept for the error that
    /// is due when none does. A person is not asked yet, and no program is run.
    pub fn load(sources: &KeySources, variables: &Variables, host: &Arc<dyn Host>) -> Self {
        let mut identities = Self::default();
        let text = |name: &str| variables.get(name).and_then(SecretBytes::expose_text).map(str::to_owned);
        let path = |name: &str| text(name).filter(|path| !path.is_empty()).map(PathBuf::from);

        if let Some(keys) = variables.get("SOPS_AGE_KEY") {
            identities.take("$SOPS_AGE_KEY", keys, host);
        }
        let named = [path("SOPS_AGE_KEY_FILE"), path("SOPS_AGE_SSH_PRIVATE_KEY_FILE")];
        let files = sources.age_key_files.iter().chain(&sources.ssh_key_files).chain(named.iter().flatten());
        // What is named twice is read and asked once.
        let mut seen = BTreeSet::new();
        for file in files.filter(|file| seen.insert(*file)) {
            identities.file(file, host.read(file), host);
        }
        if let Some(name) = &sources.age_key_credential {
            match path("CREDENTIALS_DIRECTORY") {
                Some(directory) => {
                    let file = directory.join(name);
                    identities.file(&file, host.read(&file), host);
                }
                None => identities.problem(
                    &format!("credential {name}"),
                    "$CREDENTIALS_DIRECTORY is not set; systemd sets it for a unit with LoadCredential",
                ),
            }
        }
        let places = &sources.usual_places;
        let usual = places.age_key_files.iter().chain(&places.ssh_key_files);
        for file in usual.filter(|file| !seen.contains(file)) {
            match host.read(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => identities.file(file, result, host),
            }
        }
        for (variable, prints) in
            [("SOPS_AGE_KEY_CMD", Prints::AgeKeys), ("SOPS_AGE_SSH_PRIVATE_KEY_CMD", Prints::SshKey)]
        {
            let Some(line) = text(variable) else { continue };
            let origin = format!("${variable}");
            match KeyCommand::parse(&line, prints, variable, host) {
                Ok(command) => identities.add(&origin, "a command that prints keys".into(), command),
                Err(problem) => identities.problem(&origin, problem),
            }
        }
        // As sops does, gpg is tried for every file that is encrypted to a PGP key.
        let program = text("SOPS_GPG_EXEC").filter(|program| !program.is_empty()).unwrap_or("gpg".into());
        let gpg = Gpg::new(program.clone().into(), sources.gnupg_home.clone(), host);
        identities.add(&program, gpg.public(), gpg);
        identities
    }

    fn file(&mut self, path: &Path, bytes: io::Result<SecretBytes>, host: &Arc<dyn Host>) {
        let origin = path.display().to_string();
        // Not as rare as it should be, and the key must not end up in a log.
        if is_a_key(&origin) {
            return self.problem("a key file", "its path is itself a key; give the path of a file that holds the key");
        }
        match bytes {
            Ok(bytes) => self.take(&origin, &bytes, host),
            Err(error) => self.problem(&origin, error),
        }
    }

    /// Takes the keys of a text, whatever they are. SSH keys begin with their own line, and so do encrypted age files.
    fn take(&mut self, origin: &str, text: &SecretBytes, host: &Arc<dyn Host>) {
        let (found, problems) = match ssh::is_ssh_key(text) {
            true => ssh::parse(text, origin, host),
            false => age::parse(text, origin, host),
        };
        self.found.extend(found.into_iter().map(|found| super::Identity { found, origin: origin.to_owned() }));
        for problem in problems {
            self.problem(origin, problem);
        }
    }
}

/// The recipients that files can be encrypted to for the keys of a text: age identities, or an SSH key, private or public.
/// Nobody is asked and no program is run: a key that is locked has a recipient where its public form stands beside it.
///
/// # Errors
/// Why the text gives no recipient, one reason for each part that is no key.
pub fn recipients(text: &SecretBytes, origin: &str, host: &Arc<dyn Host>) -> Result<Vec<String>, Vec<String>> {
    let public: Vec<String> =
        text.expose_text().into_iter().flat_map(str::lines).filter_map(ssh::derived_of_line).collect();
    if !public.is_empty() {
        return Ok(public);
    }
    let (found, problems) = match ssh::is_ssh_key(text) {
        true => ssh::parse(text, origin, host),
        false => age::parse(text, origin, host),
    };
    let recipients: Vec<String> = found.iter().filter_map(|found| found.opener.derived()).collect();
    match recipients.is_empty() {
        true if problems.is_empty() => Err(vec![
            "it holds a key that is locked or that a plugin has, and its public form does not stand beside it"
                .to_owned(),
        ]),
        true => Err(problems),
        false => Ok(recipients),
    }
}

/// The names under which a file may be encrypted to the holder of a recipient: an age recipient, or an SSH public key, which
/// has several. `None` where it is neither.
pub(crate) fn names_of_recipient(recipient: &str) -> Option<Vec<String>> {
    let recipient = recipient.trim();
    let is_age = recipient.starts_with("age1") && recipient.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_age { Some(vec![recipient.to_owned()]) } else { ssh::names_of_line(recipient) }
}

/// All names under which files may be encrypted to the holder of the keys in a text: age identities or recipients, or SSH
/// keys, private or public.
///
/// # Errors
/// Why the text gives no name, one reason for each part that is no key.
pub(crate) fn names_in(text: &SecretBytes, origin: &str, host: &Arc<dyn Host>) -> Result<Vec<String>, Vec<String>> {
    let public: Vec<String> =
        text.expose_text().into_iter().flat_map(str::lines).filter_map(names_of_recipient).flatten().collect();
    match (public.is_empty(), ssh::names_of_key(text)) {
        (false, _) => Ok(public),
        (true, Some(names)) => Ok(names),
        // An age identity has one name.
        (true, None) => recipients(text, origin, host),
    }
}

/// Whether text that should be a path is a key.
pub(crate) fn is_a_key(text: &str) -> bool {
    ["AGE-SECRET-KEY-", "AGE-PLUGIN-", "PRIVATE KEY"].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::identity::host::{Call, Finished};
    use crate::sops::data_key::{Broken, Effort, Keyring, Unwrapped};
    use crate::sops::metadata::MasterKey;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// A machine with some files and programs, and a person who answers.
    #[derive(Default)]
    pub(crate) struct Machine {
        pub(crate) files: BTreeMap<PathBuf, &'static str>,
        pub(crate) programs: BTreeMap<&'static str, &'static str>,
        pub(crate) answer: Option<&'static str>,
        /// What was asked, shown and run.
        pub(crate) happened: Mutex<Vec<String>>,
    }

    impl Host for Machine {
        fn read(&self, path: &Path) -> io::Result<SecretBytes> {
            self.files.get(path).map(|text| SecretBytes::from(*text)).ok_or(io::ErrorKind::NotFound.into())
        }

        fn run(&self, call: &Call<'_>) -> io::Result<Finished> {
            let program = call.program.to_str().unwrap();
            let words = call.arguments.iter().map(|word| word.to_str().unwrap());
            let variables = call.variables.iter().map(|(name, value)| format!("{name}={}", value.display()));
            let line: Vec<String> = variables.chain([program.to_owned()]).chain(words.map(str::to_owned)).collect();
            self.happened.lock().unwrap().push(line.join(" "));
            let output = *self.programs.get(program).ok_or(io::ErrorKind::NotFound)?;
            let succeeded = call.input != b"to somebody else";
            Ok(Finished { succeeded, output: output.into(), complaint: "no".to_owned() })
        }

        fn ask(&self, question: &str) -> Result<SecretBytes, String> {
            self.happened.lock().unwrap().push(question.to_owned());
            self.answer.map(SecretBytes::from).ok_or("nobody is there".to_owned())
        }

        fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
            None
        }

        fn show(&self, message: &str) {
            self.happened.lock().unwrap().push(format!("shown: {message}"));
        }
    }

    /// A throwaway key, made for the tests.
    const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    fn variables(variables: &[(&str, &str)]) -> Variables {
        variables.iter().map(|(name, value)| ((*name).to_owned(), SecretBytes::from(*value))).collect()
    }

    fn origins(identities: &Identities) -> Vec<&str> {
        identities.found().iter().map(|identity| identity.origin.as_str()).collect()
    }

    #[test]
    fn a_source_that_fails_does_not_hide_the_others() {
        let sources = KeySources {
            age_key_files: vec!["/gone.txt".into()],
            ssh_key_files: vec!["/also-gone".into()],
            age_key_credential: Some("host-key".into()),
            ..KeySources::default()
        };
        let host: Arc<dyn Host> = Arc::new(Machine::default());
        let identities = Identities::load(&sources, &variables(&[("SOPS_AGE_KEY", KEY)]), &host);
        assert_eq!(origins(&identities), ["$SOPS_AGE_KEY", "gpg"]);
        assert_eq!(
            identities.problems(),
            [
                "/gone.txt: entity not found",
                "/also-gone: entity not found",
                "credential host-key: $CREDENTIALS_DIRECTORY is not set; systemd sets it for a unit with LoadCredential"
            ]
        );
    }

    #[test]
    fn a_key_that_stands_in_place_of_a_path_is_not_told() {
        let host: Arc<dyn Host> = Arc::new(Machine::default());
        let identities = Identities::load(&KeySources::default(), &variables(&[("SOPS_AGE_KEY_FILE", KEY)]), &host);
        let problem = "a key file: its path is itself a key; give the path of a file that holds the key";
        assert_eq!(identities.problems(), [problem]);
    }

    #[test]
    fn every_source_of_sops_is_looked_at() {
        let files = ["/key", "/credentials/host-key", "/usual"].map(|path| (PathBuf::from(path), KEY));
        let machine = Machine { files: BTreeMap::from(files), ..Machine::default() };
        // One file is named three times.
        let sources = KeySources {
            age_key_files: vec!["/key".into()],
            age_key_credential: Some("host-key".into()),
            usual_places: crate::manifest::UsualPlaces {
                age_key_files: vec!["/usual".into(), "/key".into(), "/not-there".into()],
                ..Default::default()
            },
            ..KeySources::default()
        };
        let variables = variables(&[
            ("SOPS_AGE_KEY_FILE", "/key"),
            ("SOPS_AGE_KEY_CMD", "print-key"),
            ("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "'"),
            ("CREDENTIALS_DIRECTORY", "/credentials"),
            ("SOPS_GPG_EXEC", "/bin/gpg2"),
        ]);
        let host: Arc<dyn Host> = Arc::new(machine);
        let identities = Identities::load(&sources, &variables, &host);
        let found = ["/key", "/credentials/host-key", "/usual", "$SOPS_AGE_KEY_CMD", "/bin/gpg2"];
        assert_eq!(origins(&identities), found);
        assert_eq!(identities.problems(), ["$SOPS_AGE_SSH_PRIVATE_KEY_CMD: has a quote that is not closed"]);
    }

    #[test]
    fn a_command_is_run_once_for_a_recipient_and_only_when_needed() {
        let machine = Arc::new(Machine { programs: BTreeMap::from([("print", KEY)]), ..Machine::default() });
        let host: Arc<dyn Host> = machine.clone();
        let identities =
            Identities::load(&KeySources::default(), &variables(&[("SOPS_AGE_KEY_CMD", "print 'a key'")]), &host);
        assert!(machine.happened.lock().unwrap().is_empty());
        let key = MasterKey::Age { recipient: "age1x".into(), enc: "none".into() };
        for _ in 0..2 {
            assert!(matches!(identities.unwrap(&key, Effort::Free), Unwrapped::NotMine));
            assert!(matches!(identities.unwrap(&key, Effort::Costly), Unwrapped::Broken(_)));
        }
        assert_eq!(*machine.happened.lock().unwrap(), ["SOPS_AGE_RECIPIENT=age1x print a key"]);
    }

    #[test]
    fn gpg_runs_once_for_a_key_that_it_has_and_tells_of_no_other() {
        let listing = "sec:u:3072:1:\nfpr:::::::::0123456789ABCDEF0123456789ABCDEF01234567:\n";
        let machine = Arc::new(Machine { programs: BTreeMap::from([("gpg", listing)]), ..Machine::default() });
        let host: Arc<dyn Host> = machine.clone();
        let sources = KeySources { gnupg_home: Some("/gnupg".into()), ..KeySources::default() };
        let of = |enc: &str| MasterKey::Pgp {
            fingerprint: "0123456789ABCDEF0123456789ABCDEF01234567".into(),
            enc: enc.into(),
        };
        let (ours, ours_too) = (of("message"), of("another message"));
        let others = MasterKey::Pgp {
            fingerprint: "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF".into(),
            enc: "to somebody else".into(),
        };
        let common = "GNUPGHOME=/gnupg gpg --no-default-recipient --batch --quiet";
        let (decrypt, list) = (format!("{common} --decrypt"), format!("{common} --with-colons --list-secret-keys"));
        let try_it = format!("{common} --pinentry-mode error --decrypt");

        let identities = Identities::load(&sources, &Variables::new(), &host);
        assert!(matches!(identities.unwrap(&ours, Effort::Costly), Unwrapped::Opened(_)));
        assert_eq!(std::mem::take(&mut *machine.happened.lock().unwrap()), std::slice::from_ref(&try_it));

        // Once it is known which keys it has, it is not run for others.
        for _ in 0..2 {
            assert!(matches!(identities.unwrap(&others, Effort::Costly), Unwrapped::NotMine));
        }
        assert!(matches!(identities.unwrap(&ours_too, Effort::Costly), Unwrapped::Opened(_)));
        assert_eq!(*machine.happened.lock().unwrap(), [try_it, list, decrypt]);
    }

    #[test]
    fn why_gpg_failed_is_told_where_it_has_the_key() {
        let listing = "fpr:::::::::0123456789ABCDEF0123456789ABCDEF01234567:\n";
        let machine = Arc::new(Machine { programs: BTreeMap::from([("gpg", listing)]), ..Machine::default() });
        let host: Arc<dyn Host> = machine;
        let sources = KeySources { gnupg_home: Some("/gnupg".into()), ..KeySources::default() };
        let key = MasterKey::Pgp {
            fingerprint: "0123456789ABCDEF0123456789ABCDEF01234567".into(),
            enc: "to somebody else".into(),
        };
        let answer = Identities::load(&sources, &Variables::new(), &host).unwrap(&key, Effort::Costly);
        let Unwrapped::Broken(reasons) = answer else { panic!("it was not told") };
        assert!(reasons == [Broken::Identity("gpg cannot decrypt it: no".to_owned())]);
    }
}
