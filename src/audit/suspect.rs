//! What looks like a secret: by the name of its key, and by its shape.
//!
//! This only guesses. What it says never holds the value or a part of it.

mod name;

/// Why something looks secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The name of its key.
    Name,
    /// Its shape, which is this.
    Shape(&'static str),
}

impl Reason {
    /// As the end of a sentence that begins with the value.
    pub fn text(self) -> String {
        match self {
            Self::Name => "has a name as secrets have".to_owned(),
            Self::Shape(shape) => format!("looks like {shape}"),
        }
    }
}

/// Why a value looks secret, if it does. `keys` are those above it, from the top. With `is_strict`, text that only looks
/// random does not count: lock files and manifests are full of it.
pub fn value(keys: &[&str], text: &str, is_strict: bool) -> Option<Reason> {
    let text = text.trim();
    if is_placeholder(text) {
        return None;
    }
    if let Some(shape) = known_shape(text) {
        return Some(Reason::Shape(shape));
    }
    if is_public(text) {
        return None;
    }
    let is_path = text.starts_with('/') || text.starts_with("./") || text.starts_with("~/");
    // `id-token: write` is what a workflow may do.
    let is_setting =
        matches!(text, "true" | "false" | "yes" | "no" | "on" | "off" | "read" | "write" | "none" | "inherit");
    if name::is_secret(keys) && !is_path && !is_setting {
        return Some(Reason::Name);
    }
    let is_hash = keys.last().is_some_and(|key| name::is_shown(key));
    (!is_strict && !is_hash && looks_random(text)).then_some(Reason::Shape("random text, as keys and tokens are"))
}

/// Why a number looks secret, if it does.
pub fn number(keys: &[&str]) -> Option<Reason> {
    name::is_secret_number(keys).then_some(Reason::Name)
}

/// Why a line looks secret, if some word in it or all of it has the shape of a secret.
pub fn shape_in(line: &str) -> Option<Reason> {
    line.split_whitespace().chain([line.trim()]).find_map(known_shape).map(Reason::Shape)
}

/// Why a comment looks secret, if it does: by its shape, or because it is a value that was commented out.
pub fn comment(text: &str) -> Option<Reason> {
    if let Some(reason) = shape_in(text) {
        return Some(reason);
    }
    let (key, behind) = text.split_once([':', '='])?;
    let (key, behind) = (key.trim().trim_start_matches(['#', ';', '-', ' ']), behind.trim().trim_matches(['"', '\'']));
    let is_assignment = !key.is_empty() && !key.contains(char::is_whitespace) && !behind.contains(char::is_whitespace);
    (is_assignment && !behind.is_empty()).then(|| value(&[key], behind, true)).flatten()
}

/// Text that stands for a value that comes from elsewhere.
fn is_placeholder(text: &str) -> bool {
    let surrounded = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    text.is_empty()
        || surrounded("${", "}")
        || surrounded("$(", ")")
        || surrounded("{{", "}}")
        || surrounded("<", ">")
        || text.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_'))
        || ["op://", "vault:", "ref+", "file:", "env:"].iter().any(|start| text.starts_with(start))
}

/// Forms that only secrets have.
fn known_shape(text: &str) -> Option<&'static str> {
    /// What it starts with, how many characters follow at least, and what it is.
    const PREFIXES: [(&str, usize, &str); 18] = [
        ("AGE-SECRET-KEY-1", 40, "an age secret key"),
        ("AGE-PLUGIN-", 20, "an age plugin identity"),
        ("ghp_", 30, "a GitHub token"),
        ("gho_", 30, "a GitHub token"),
        ("ghu_", 30, "a GitHub token"),
        ("ghs_", 30, "a GitHub token"),
        ("github_pat_", 30, "a GitHub token"),
        ("glpat-", 16, "a GitLab token"),
        ("xoxb-", 16, "a Slack token"),
        ("xoxp-", 16, "a Slack token"),
        ("xapp-", 16, "a Slack token"),
        ("sk_live_", 16, "a Stripe key"),
        ("npm_", 30, "an npm token"),
        ("dop_v1_", 30, "a DigitalOcean token"),
        ("hvs.", 20, "a Vault token"),
        ("tskey-", 16, "a Tailscale key"),
        ("SG.", 30, "a SendGrid key"),
        ("AIza", 31, "a Google API key"),
    ];
    /// Nothing shorter has such a shape, but for an address.
    const SHORTEST: usize = 16;
    if text.len() < SHORTEST && !text.contains("://") {
        return None;
    }
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let found = PREFIXES.iter().find(|(prefix, least, _)| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least && rest.bytes().all(is_token))
    });
    if let Some((_, _, what)) = found {
        return Some(what);
    }
    let is_aws =
        |text: &str| text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if ["AKIA", "ASIA"].iter().any(|start| text.starts_with(start)) && is_aws(text) {
        return Some("an AWS access key");
    }
    if text.starts_with("eyJ") && text.split('.').count() == 3 && text.len() > 60 && text.bytes().all(is_token) {
        return Some("a signed token (JWT)");
    }
    has_password_in_url(text).then_some("an address with a password in it")
}

/// `scheme://user:password@host`.
fn has_password_in_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme && user.split_once(':').is_some_and(|(_, password)| !is_placeholder(password) && !password.contains('$'))
}

/// Forms that are made to be shown.
fn is_public(text: &str) -> bool {
    let starts =
        ["age1", "ssh-", "ecdsa-sha2-", "sk-ssh-", "sha1-", "sha256-", "sha384-", "sha512-", "sha256:", "sha512:"];
    starts.iter().any(|start| text.starts_with(start))
        || text.contains("-----BEGIN ") && !text.contains("PRIVATE KEY")
        || text.contains("://")
}

/// Whether text is as mixed as keys and tokens are: long, one word, of base64's or hexadecimal characters, and with as
/// much entropy as such text has.
fn looks_random(text: &str) -> bool {
    const LONGEST: usize = 4096;
    let bytes = text.as_bytes();
    let any = |test: fn(&u8) -> bool| bytes.iter().any(test);
    let is_hex = bytes.iter().all(u8::is_ascii_hexdigit);
    let is_base64 = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte));
    if bytes.len() > LONGEST {
        return false;
    }
    if is_hex {
        return bytes.len() >= 32 && any(u8::is_ascii_digit) && any(u8::is_ascii_alphabetic) && entropy(bytes) > 3.0;
    }
    // Names of people's things are words with `-`, `_` or `/` between them, in one case.
    is_base64
        && bytes.len() >= 24
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_uppercase)
        && any(u8::is_ascii_lowercase)
        && bytes.iter().filter(|byte| b"/-_".contains(byte)).count() * 8 < bytes.len()
        && entropy(bytes) > 4.0
}

/// Shannon's entropy in bits for each byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = bytes.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * libm::log2(share)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_stand_for_others_are_none() {
        for text in
            ["", "${PASSWORD}", "{{ .Values.x }}", "<password>", "****", "/run/secrets/x", "true", "write", "op://a/b"]
        {
            assert_eq!(value(&["password"], text, false), None, "{text}");
        }
    }

    #[test]
    fn shapes_of_secrets() {
        let key = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
        let pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc";
        let github = format!("ghp_{}", "a1B2".repeat(9));
        for text in [&*key, pem, &*github, "glpat-abcdefghij0123456789", "AKIAIOSFODNN7EXAMPLE", "postgres://a:b@c/d"] {
            assert!(matches!(value(&["x"], text, true), Some(Reason::Shape(_))), "{text}");
        }
        for text in
            ["-----BEGIN CERTIFICATE-----\nabc", "https://a.example/b", "postgres://a:${PW}@c/d", "AKIA", "ghp_x"]
        {
            assert_eq!(value(&["x"], text, false), None, "{text}");
        }
    }

    #[test]
    fn random_text_is_told_from_words() {
        for text in ["k3J9xQz81LmVbT0pRw5NsYdE2uFh", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"] {
            assert!(value(&["x"], text, false).is_some(), "{text}");
            assert_eq!(value(&["x"], text, true), None, "{text}");
            assert_eq!(value(&["sha256"], text, false), None, "{text}");
        }
        for text in
            ["a-name-of-a-machine-in-Rack-12", "00000000000000000000000000000000", "some words and 1 Number here"]
        {
            assert_eq!(value(&["x"], text, false), None, "{text}");
        }
    }

    #[test]
    fn comments_with_values_that_were_commented_out() {
        assert_eq!(comment(" password: hunter2"), Some(Reason::Name));
        assert_eq!(comment("DB_PASSWORD='hunter2'"), Some(Reason::Name));
        assert!(matches!(comment(" old: AKIAIOSFODNN7EXAMPLE"), Some(Reason::Shape(_))));
        assert_eq!(comment(" the password: ask alice"), None);
        assert_eq!(comment(" token: see the wiki"), None);
    }
}
