use super::super::ssh::derived_of_line;
use super::*;
use std::fs;
use std::path::PathBuf;

const PASSPHRASE: &[u8] = b"throwaway";
const OPENSSH_CIPHERS: [&str; 6] =
    ["aes256-ctr", "aes256-gcm", "aes256-cbc", "aes128-ctr", "3des-cbc", "chacha20-poly1305"];
const OTHER_LOCKED: [&str; 9] = [
    "ed25519-pkcs8-aes256",
    "ed25519-pkcs8-scrypt",
    "rsa-pem-aes128",
    "rsa-pem-aes192",
    "rsa-pem-aes256",
    "rsa-pem-des3",
    "rsa-pkcs8-aes256",
    "rsa-pkcs8-des3",
    "rsa-pkcs8-scrypt",
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys/ssh").join(name)
}

fn file(name: &str) -> SecretBytes {
    SecretBytes::new(fs::read(path(name)).unwrap())
}

fn read(name: &str) -> SshKey {
    SshKey::read(&file(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn why(file: &[u8]) -> String {
    SshKey::read(&SecretBytes::new(file.to_vec())).err().unwrap()
}

fn unlocked(name: &str, passphrase: &[u8]) -> Result<SshKey, String> {
    read(name).unlock(passphrase).map_err(|why| match why {
        Wrong::Passphrase => "wrong passphrase".into(),
        Wrong::Key(why) => why,
    })
}

/// The public key that belongs to a fixture, as ssh-keygen wrote it.
fn public_of(name: &str) -> PublicKey {
    let of = if name.starts_with("rsa") { "rsa.pub" } else { "ed25519.pub" };
    PublicKey::from_openssh(&fs::read_to_string(path(of)).unwrap()).unwrap()
}

fn locked_names() -> impl Iterator<Item = String> {
    let openssh =
        ["ed25519", "rsa"].into_iter().flat_map(|key| OPENSSH_CIPHERS.map(|cipher| format!("{key}-{cipher}")));
    openssh.chain(OTHER_LOCKED.map(str::to_owned))
}

#[test]
fn reads_every_form_without_a_passphrase() {
    for name in ["ed25519", "ed25519-pkcs8", "rsa", "rsa-pem", "rsa-pkcs8"] {
        let key = read(name);
        assert!(!key.is_locked());
        assert_eq!(key.public().unwrap().key_data(), public_of(name).key_data(), "{name}");
        assert_eq!(key.ed25519_seed().is_some(), name.starts_with("ed"), "{name}");
        assert_eq!(key.rsa().is_some(), name.starts_with("rsa"), "{name}");
    }
}

#[test]
fn reads_every_locked_form() {
    for name in locked_names() {
        let locked = read(&name);
        assert!(locked.is_locked() && locked.ed25519_seed().is_none() && locked.rsa().is_none(), "{name}");
        assert!(locked.to_openssh().is_err());
        let openssh = !OTHER_LOCKED.contains(&name.as_str());
        assert_eq!(locked.public().map(PublicKey::key_data), openssh.then_some(public_of(&name).key_data()), "{name}");

        let key = unlocked(&name, PASSPHRASE).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(!key.is_locked());
        let plain = read(if name.starts_with("rsa") { "rsa" } else { "ed25519" });
        assert_eq!(key.ed25519_seed(), plain.ed25519_seed(), "{name}");
        assert!(key.rsa() == plain.rsa(), "{name}");
    }
}

#[test]
fn a_wrong_passphrase_is_told_from_a_broken_key() {
    for name in locked_names() {
        for passphrase in [&b"throwaway\n"[..], b""] {
            assert_eq!(unlocked(&name, passphrase).err().as_deref(), Some("wrong passphrase"), "{name}");
        }
    }
}

/// The two `enc` of a file that sops encrypted to the two keys.
fn encs() -> Vec<String> {
    let lines = include_str!("../../../tests/fixtures/encrypted/ssh-recipients.yaml").lines().map(str::trim);
    let lines: Vec<&str> = lines.collect();
    let blocks = lines.split(|line| line.starts_with("- enc:")).skip(1);
    blocks.map(|block| block.split(|line| line.starts_with("recipient:")).next().unwrap().join("\n")).collect()
}

#[test]
fn the_age_crate_opens_files_with_what_is_written() {
    let encs = encs();
    let plain = ["ed25519", "ed25519-pkcs8", "rsa", "rsa-pem", "rsa-pkcs8"].map(str::to_owned);
    for name in plain.into_iter().chain(locked_names()) {
        let text = unlocked(&name, PASSPHRASE).unwrap().to_openssh().unwrap();
        assert!(SshKey::read(&text).is_ok_and(|key| !key.is_locked()), "{name}");
        let identity = age::ssh::Identity::from_buffer(text.expose(), None).unwrap();
        let opened = encs.iter().map(|enc| {
            let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(enc.as_bytes())).unwrap();
            decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).is_ok()
        });
        assert_eq!(opened.collect::<Vec<_>>(), [name.starts_with("ed"), name.starts_with("rsa")], "{name}");
    }
}

#[test]
fn the_age_recipient_is_that_of_the_private_key() {
    let private = super::super::ssh::from_seed(&SshKey::read(&file("ed25519")).unwrap().ed25519_seed().unwrap())
        .unwrap()
        .public()
        .to_owned();
    for name in ["ed25519", "ed25519-pkcs8", "ed25519-aes256-ctr"] {
        assert_eq!(read(name).public().and_then(age_recipient), Some(private.clone()));
    }
    assert_eq!(derived_of_line(&fs::read_to_string(path("ed25519.pub")).unwrap()), Some(private));
    // What ssh-to-age prints for this one.
    assert_eq!(
        derived_of_line(include_str!("../../../tests/fixtures/keys/ssh_ed25519.pub")).as_deref(),
        Some("age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au")
    );
}

#[test]
fn lines_of_other_lengths_and_ends_are_read() {
    let text = String::from_utf8(fs::read(path("ed25519")).unwrap()).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let lines =
        |width| body.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
    for (width, end) in [(64, "\n"), (70, "\r\n"), (1000, "\n")] {
        let label = "OPENSSH PRIVATE KEY-----";
        let text = format!("-----BEGIN {label}{end}{}{end}-----END {label}", lines(width).join(end));
        assert!(SshKey::read(&SecretBytes::from(text)).is_ok(), "{width}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_refused_wherever_it_ends() {
    for entry in fs::read_dir(path("")).unwrap().map(Result::unwrap) {
        let whole = fs::read(entry.path()).unwrap();
        let end = whole.trim_ascii_end().len();
        for length in (0..end).step_by(7).chain([end - 1]) {
            assert!(SshKey::read(&SecretBytes::new(whole[..length].to_vec())).is_err(), "{entry:?} {length}");
        }
    }
}

/// Changes each byte in turn; whatever comes of it, it is no panic.
#[test]
fn damaged_files_do_no_harm() {
    for name in ["ed25519", "ed25519-aes256-ctr", "ed25519-pkcs8-aes256", "rsa-pem-aes128", "rsa-pkcs8"] {
        let whole = fs::read(path(name)).unwrap();
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            let _ = SshKey::read(&SecretBytes::new(damaged)).map(|key| key.to_openssh());
        }
    }
}

#[test]
fn says_what_a_file_is_that_is_no_usable_key() {
    let type_of = |name: &str| why(file(name).expose());
    for name in ["ecdsa", "ecdsa-pem", "ecdsa-pkcs8"] {
        assert_eq!(type_of(name), "is a key of type ECDSA; only Ed25519 and RSA keys can decrypt");
    }
    for name in ["ed25519.pub", "rsa.pub"] {
        assert_eq!(type_of(name), "is a public key; the private one is needed");
    }
    assert_eq!(why(b""), "is empty");
    assert_eq!(why(b"\xff\xfe"), "holds bytes that are not text; an SSH key is text");
    assert_eq!(why(b"nonsense"), "is no private key in OpenSSH's form");
    assert_eq!(why(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "is no SSH private key");
    assert!(why(b"PuTTY-User-Key-File-3: ssh-ed25519\n").contains("puttygen"));
    assert!(why(b"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret!\n").starts_with("is a private key that is damaged"));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: RC2,00\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    assert!(why(old.as_bytes()).contains("cipher that is not supported"));
}
