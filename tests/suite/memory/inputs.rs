//! What is worst for each reader: a megabyte of it, and as much of it as the limits let through.

use super::sealed::metadata;
use crate::common::{encrypted, fixture};
use sha2::{Digest, Sha512};
use std::fs;

pub(super) const MEGABYTE: usize = 1 << 20;

/// How many values a file may hold, with room for the metadata and the file itself.
const VALUES: usize = 150_000 - 100;

/// How many secrets and templates a manifest may have.
const FILES: usize = 12_000;

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Manifest,
    Key,
    Sops,
}

/// One file.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) file: &'static str,
    pub(super) text: Vec<u8>,
    /// Whether it is one that is installed; otherwise it is refused.
    pub(super) installs: bool,
}

fn input(kind: Kind, name: &str, file: &'static str, text: impl Into<Vec<u8>>, installs: bool) -> Input {
    Input { name: format!("{file}: {name}"), kind, file, text: text.into(), installs }
}

/// Half a kilobyte less than a megabyte of `part`: there is to be room for what stands around it.
fn megabyte_of(part: &str) -> String {
    part.repeat((MEGABYTE - 4096) / part.len())
}

/// As many as fit into a megabyte, up to `most`.
fn numbered(most: usize, part: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0..most {
        let part = part(number);
        if text.len() + part.len() > MEGABYTE - 4096 {
            break;
        }
        text += &part;
    }
    text
}

/// YAML files that open: their first lines, and what they hold in the order of the MAC.
pub(super) fn yaml() -> Vec<Input> {
    let sealed = |name: &str, head: &str, part: &str, plain: &str, values: usize, tail: &str| {
        let number = (VALUES / values).min((MEGABYTE - 4096) / part.len());
        let text =
            format!("{head}{}{tail}{}", part.repeat(number), metadata("types.yaml", plain.repeat(number).as_bytes()));
        input(Kind::Sops, name, "a.yaml", text, true)
    };
    let refused = |name: &str, text: String| input(Kind::Sops, name, "a.yaml", text, false);
    let keys = numbered(VALUES / 2 - 10, |number| format!("k{number:x}: v\n"));
    let plain = "v".repeat(keys.lines().count());
    let documents = "---\na: 1\n".repeat(VALUES / 4);
    let first = metadata("types.yaml", &b"1".repeat(VALUES / 4));
    vec![
        sealed("numbers", "a: [", "0,", "0", 1, "]\n"),
        sealed("lists", "a: [", "[0],", "0", 2, "]\n"),
        sealed("maps", "a: [", "{a: 0},", "0", 3, "]\n"),
        sealed("maps without braces", "a: [", "a: 0,", "0", 4, "]\n"),
        sealed("deep maps", "a: [", &format!("{}0{},", "{a: ".repeat(100), "}".repeat(100)), "0", 1300, "]\n"),
        sealed("tags", "a: [", "!abc 0,", "0", 1, "]\n"),
        sealed("texts of one byte", "a: [", "'x',", "x", 1, "]\n"),
        sealed("comments", "", "#c\n", "", 1, "a:\n"),
        sealed("comments above items", "a:\n", "#c\n- x\n", "x", 2, ""),
        sealed("comments behind items", "a:\n", "- x #c\n", "x", 2, ""),
        sealed("escapes", "a: \"", "\\x01", "\u{1}", 1, "\"\n"),
        input(Kind::Sops, "keys", "a.yaml", keys + &metadata("types.yaml", plain.as_bytes()), true),
        input(Kind::Sops, "documents", "a.yaml", first + &documents, true),
        refused("numbers beyond the limit", format!("a: [{}]\n", megabyte_of("0,"))),
        refused("lists beyond the limit", format!("a: [{}]\n", megabyte_of("[[[[0]]]],"))),
        refused("keys of a second document", format!("a: b\n---\n{{{}}}\n", megabyte_of("a,"))),
        refused("comments beyond the limit", megabyte_of("#\n") + "a: 1\n"),
        refused("documents beyond the limit", megabyte_of("---\n")),
        refused(
            "a text by aliases",
            format!("a: &a \"{}\"\nb: [{}]\n", "\\x01".repeat(200_000), "*a, ".repeat(50_000)),
        ),
        refused(
            "a comment by aliases",
            format!("a: &a\n  #{}\n  - 0\nb: [{}]\n", "x".repeat(500_000), "*a,".repeat(100_000)),
        ),
        refused("a key by aliases", format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "{*a : 0},".repeat(50_000))),
        refused("open brackets", megabyte_of("[")),
        refused("maps of one key", megabyte_of("a:\n a: ENC[]\n") + "sops:\n    mac: x\n"),
    ]
}

pub(super) fn json() -> Vec<Input> {
    let sealed = |name: &str, part: &str, plain: &str, values: usize| {
        let number = (VALUES / values).min((MEGABYTE - 4096) / part.len());
        let text = format!(
            "{{\"a\":[{}],{}}}",
            [part].repeat(number).join(","),
            metadata("app.json", plain.repeat(number).as_bytes())
        );
        input(Kind::Sops, name, "a.json", text, true)
    };
    let refused = |name: &str, text: String| input(Kind::Sops, name, "a.json", text, false);
    let sops =
        |text: &str| format!("{{\"a\":1,\"sops\":{{\"lastmodified\":\"2026-11-20T09:29:22Z\",\"mac\":\"x\",{text}}}}}");
    let all = |key: &str, part: &str| sops(&format!("\"{key}\":[{}{part}]", megabyte_of(&format!("{part},"))));
    let regex = |text: &str| {
        let rule = text.repeat(2048 / text.len()).replace('\\', "\\\\");
        sops(&format!("\"age\":[{{}}],\"encrypted_regex\":\"{rule}\""))
    };
    let keys = [vec!["{\"age\":[{\"enc\":\"x\",\"recipient\":\"age1x\"}]}"; 255].join(",")].concat();
    let age = |header: String| {
        let enc = header.replace('\n', "\\n");
        sops(&format!("\"age\":[{{\"recipient\":\"age1x\",\"enc\":\"{enc}\"}}]"))
    };
    vec![
        sealed("numbers", "0", "0", 1),
        sealed("lists", "[0]", "0", 2),
        sealed("deep lists", &format!("{}0{}", "[".repeat(100), "]".repeat(100)), "0", 660),
        sealed("maps of lists", "{\"\":[0]}", "0", 4),
        sealed("texts", "\"a\"", "a", 1),
        refused("numbers beyond the limit", format!("{{\"a\":[{}0]}}", megabyte_of("0,"))),
        refused("nothing but metadata", all("x", "[0]")),
        refused("master keys", all("age", "{}")),
        refused("fingerprints", all("pgp", "{}")),
        refused("key groups", all("key_groups", "{}")),
        refused("key groups of keys", sops(&format!("\"key_groups\":[{keys}]"))),
        refused("open objects", megabyte_of("{\"a\":")),
        refused("a long rule", sops(&format!("\"age\":[{{}}],\"encrypted_regex\":\"{}\"", megabyte_of("a")))),
        refused("a rule of classes", regex("\\pL")),
        refused("a rule of repetitions", regex("a{1000}")),
        refused("a rule of classes of classes", regex("[\\pL\\pN]")),
        refused("an age header", age("age-encryption.org/v1\n".to_owned() + &"-> a\n\n".repeat(100_000))),
        refused(
            "an OpenPGP message",
            sops(&format!(
                "\"pgp\":[{{\"fp\":\"BE559F56D9EEE06750C0CEB6C13202594ED9C2C3\",\"enc\":\"-----BEGIN PGP MESSAGE-----\\n\\n{}-----END PGP MESSAGE-----\"}}]",
                megabyte_of("hQEMA8EyAllO2cLDAQf+L9SqD6k2h/ZOVqZwJ54oSa2M2i2gSLURBbGX52wpEuZo\\n")
            )),
        ),
    ]
}

/// INI, dotenv, binary and age files.
pub(super) fn lines() -> Vec<Input> {
    let ini = |name: &str, head: &str, text: String, plain: usize| {
        input(Kind::Sops, name, "a.ini", format!("{head}{text}{}", metadata("app.ini", &b"1".repeat(plain))), true)
    };
    let env = |name: &str, text: String, plain: usize| {
        input(Kind::Sops, name, "a.env", format!("{text}{}", metadata("app.env", &b"1".repeat(plain))), true)
    };
    let refused = |name: &str, file, text: String| input(Kind::Sops, name, file, text, false);
    let (keys, pairs) = (VALUES / 2, VALUES / 4);
    let deep = |key: &str| format!("{key}{}=\n", "__map_abc".repeat(7));
    let binary = vec![0xfe; MEGABYTE];
    vec![
        ini("keys", "[a]\n", numbered(keys, |number| format!("{number:x}=1\n")), keys),
        ini("sections", "", "[a]\n".repeat(keys), 0),
        ini("sections with a key", "", "[s]\na=1\n".repeat(pairs), pairs),
        ini("padding", &format!("[a]\n{}=1\n", "x".repeat(50)), numbered(keys, |number| format!("{number:x}=\n")), 1),
        env("the same key", "a=1\n".repeat(keys), keys),
        env("comments", "#a\n".repeat(VALUES - 50), 0),
        refused("keys beyond the limit", "a.ini", "[a]\n".to_owned() + &megabyte_of("a=\n")),
        refused("lines beyond the limit", "a.env", megabyte_of("=\n")),
        refused(
            "padding beyond the limit",
            "a.ini",
            format!(
                "[a]\n{}=1\n{}{}",
                "x".repeat(400_000),
                numbered(50_000, |number| format!("{number:x}=\n")),
                metadata("app.ini", b"1")
            ),
        ),
        refused(
            "deep metadata",
            "a.ini",
            "[sops]\n".to_owned() + &numbered(3999, |number| deep(&format!("{number:x}"))),
        ),
        refused("deep flat metadata", "a.env", numbered(3999, |number| deep(&format!("sops_{number:x}")))),
        refused("much metadata", "a.env", numbered(usize::MAX, |number| format!("sops_{number:x}=\n"))),
        input(Kind::Sops, "bytes that are no text", "a.bin", binary, false),
        refused("stanzas", "a.age", "age-encryption.org/v1\n".to_owned() + &megabyte_of("-> a\n\n")),
    ]
}

pub(super) fn keys() -> Vec<Input> {
    let line = |name: &str| {
        let text = fs::read_to_string(fixture("keys").join(name)).unwrap();
        text.lines().find(|line| line.starts_with("AGE-")).unwrap().to_owned() + "\n"
    };
    let age = line("age.txt");
    let pem = |label: &str, body: &str, end: &str| {
        format!("-----BEGIN {label}-----\n{}{end}", megabyte_of(&format!("{body}\n")))
    };
    let key = |name: &str, text: String, installs: bool| input(Kind::Key, name, "key.txt", text, installs);
    let openssh = "-----END OPENSSH PRIVATE KEY-----\n";
    vec![
        key("identities", age.repeat(1000), true),
        key("post-quantum identities", line("age-pq.txt").repeat(1000), false),
        key("comments", megabyte_of("#\n") + &age, true),
        key("identities beyond the limit", megabyte_of(&age), false),
        key("lines of something else", megabyte_of("a\n"), false),
        key("words", megabyte_of("a "), false),
        key("one word", megabyte_of("A"), false),
        key("plugins", megabyte_of("AGE-PLUGIN-X-1QQQ\n"), false),
        key("an SSH key", pem("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAA", openssh), false),
        key("an SSH key without an end", pem("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAA", ""), false),
        key("an RSA key", pem("RSA PRIVATE KEY", "MIIEowIBAAKCAQEA", "-----END RSA PRIVATE KEY-----\n"), false),
        key("a header", "age-encryption.org/v1\n".to_owned() + &megabyte_of("-> a\n\n"), false),
        key(
            "an armored header",
            pem("AGE ENCRYPTED FILE", &"YWdl".repeat(16), "-----END AGE ENCRYPTED FILE-----\n"),
            false,
        ),
    ]
}

pub(super) fn manifests() -> Vec<Input> {
    let (age, file) = (fixture("keys/age.txt"), encrypted("secrets.yaml"));
    let head = format!(
        "userMode: true\nsecretsMountPoint: run/secrets.d\nsymlinkPath: run/secrets\nage: {{keyFile: {}}}\n\
         defaultSopsFile: {}\n",
        age.display(),
        file.display()
    );
    let yaml = |name: &str, text: String, installs: bool| {
        input(Kind::Manifest, name, "m.yaml", format!("{head}{text}"), installs)
    };
    let one = "secrets: {npmrc: {}}\n";
    let secrets = |part: fn(usize) -> String| "secrets:\n".to_owned() + &numbered(FILES, part);
    let json_head = format!(
        "\"userMode\":true,\"secretsMountPoint\":\"run/secrets.d\",\"symlinkPath\":\"run/secrets\",\"ageKeyFile\":\"{}\"",
        age.display()
    );
    let json =
        |name: &str, text: String| input(Kind::Manifest, name, "m.json", format!("{{{json_head},{text}}}"), false);
    vec![
        yaml("secrets", secrets(|number| format!("  k{number}: {{key: npmrc, path: x/{number}}}\n")), true),
        yaml(
            "secrets whose keys are missing",
            secrets(|number| format!("  {number:x}{}: {{}}\n", "x".repeat(40))),
            false,
        ),
        yaml("secrets with bad names", secrets(|number| format!("  /{number}: {{}}\n")), false),
        yaml(
            "secrets beyond the limit",
            format!("secrets: {{{}}}\n", numbered(usize::MAX, |number| format!("{number:x},"))),
            false,
        ),
        yaml(
            "templates",
            format!("{one}templates:\n")
                + &numbered(FILES - 1, |number| format!("  {number}: {{content: '{{{{npmrc}}}}'}}\n")),
            true,
        ),
        yaml("placeholders", format!("{one}templates: {{t: {{content: '{}'}}}}\n", megabyte_of("{{npmrc}}")), true),
        yaml("a long text", format!("{one}templates: {{t: {{content: '{}'}}}}\n", megabyte_of("x")), true),
        yaml("comments", megabyte_of("#\n") + one, true),
        yaml("units", format!("secrets: {{npmrc: {{restartUnits: [{}]}}}}\n", megabyte_of("a.service,")), true),
        yaml("values", format!("{one}hostRecipients: [{}]\n", "a,".repeat(249_000)), false),
        yaml("values beyond the limit", format!("{one}hostRecipients: [{}]\n", megabyte_of("a,")), false),
        yaml("lists beyond the limit", format!("secrets: [{}]\n", megabyte_of("[],")), false),
        yaml("items without a value", format!("secrets:\n{}", megabyte_of("-\n")), false),
        yaml("key files", format!("{one}age: {{sshKeyPaths: [{}]}}\n", "a,".repeat(240_000)), false),
        yaml("open brackets", megabyte_of("["), false),
        input(Kind::Manifest, "long placeholders", "m.json", format!("{{{json_head},{}}}", long_placeholders()), true),
        json("secrets", format!("\"secrets\":[{}{{}}]", megabyte_of("{},"))),
        json("numbers", format!("\"secrets\":[{}0]", megabyte_of("0,"))),
        json("an unknown field", format!("\"secrets\":[{{\"x\":[{}0]}}]", megabyte_of("[[[0]]],"))),
        json(
            "placeholders",
            format!(
                "\"secrets\":[{{}}],\"placeholderBySecretName\":{{{}\"z\":\"\"}}",
                numbered(usize::MAX, |number| format!("\"{number:x}\":\"{number}\","))
            ),
        ),
    ]
}

/// Placeholders of a kilobyte each, of which none begins as another, and a template with one of them.
fn long_placeholders() -> String {
    let hash = |number: usize| Sha512::digest(number.to_le_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = |number: usize| (0..8).map(|part| hash(number * 8 + part)).collect::<Vec<String>>().concat();
    let texts = numbered(usize::MAX, |number| format!("\"{number}\":\"{}\",", text(number)));
    let template = "{\"name\":\"t\",\"path\":\"t\",\"mode\":\"0400\",\"content\":\"z\"}";
    format!("\"secrets\":[],\"placeholderBySecretName\":{{{texts}\"z\":\"y\"}},\"templates\":[{template}]")
}
