//! One read, one data-key unwrap and one decryption per file, however many secrets come from it.

use crate::common::{encrypted, identities};
use sops_install::manifest::{self, Surroundings};
use sops_install::open::{self, Means};
use sops_install::plan::{Owners, plan};
use sops_install::sops::data_key::{Effort, Keyring, Unwrapped};
use sops_install::sops::metadata::MasterKey;
use sops_install::system::read::read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what it is asked.
struct Counting<'a> {
    inner: &'a dyn Keyring,
    asked: AtomicUsize,
}

impl Keyring for Counting<'_> {
    fn unwrap(&self, key: &MasterKey, effort: Effort) -> Unwrapped {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.inner.unwrap(key, effort)
    }

    fn decrypt_age(&self, file: &[u8]) -> Unwrapped {
        self.inner.decrypt_age(file)
    }
}

#[test]
fn a_file_is_read_and_unwrapped_once_for_all_of_its_secrets() {
    let mut text = format!(
        "defaultSopsFile: {}\nuserMode: true\nsecretsMountPoint: /x.d\nsymlinkPath: /x\nsecrets:\n",
        encrypted("secrets.yaml").display()
    );
    for number in 0..300 {
        let key = ["github/oauth_token", "npmrc", "\"\""][number % 3];
        text.push_str(&format!("  s{number}: {{key: {key}}}\n"));
    }
    for name in ["app.json", "app.ini", "app.env", "types.yaml"] {
        text.push_str(&format!("  {name}: {{key: \"\", sopsFile: {}}}\n", encrypted(name).display()));
    }
    let manifest = manifest::parse(&text, Path::new("m.yaml"), &Surroundings::default()).unwrap();
    let plan = plan(&manifest, &Owners::Caller).unwrap();
    let identities = identities();
    let keyring = Counting { inner: &identities, asked: AtomicUsize::new(0) };
    let reads = AtomicUsize::new(0);
    let read = |path: &Path| {
        reads.fetch_add(1, Ordering::SeqCst);
        read(path)
    };
    let opened =
        open::open(&plan, &Means { keyring: &keyring, identities: &identities, read: &read, open_large: &|_| None });
    assert!(opened.failures.is_empty(), "{:?}", opened.failures);
    assert_eq!(opened.secrets.len(), 304);
    let secret = |wanted: usize| opened.secrets.iter().find(|(position, _)| *position == wanted).unwrap().1.expose();
    assert!(secret(0) == b"gho_Qx7vTHROWAWAY" && secret(297) == secret(0));
    assert_eq!((reads.into_inner(), keyring.asked.into_inner()), (5, 5));
}
