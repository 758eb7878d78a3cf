//! What the names of keys say of their values.

/// Words in the names of keys whose values are made to be shown, though they look random.
const HASHES: [&str; 19] = [
    "hash",
    "sha1",
    "sha256",
    "sha512",
    "sha",
    "md5",
    "checksum",
    "digest",
    "integrity",
    "fingerprint",
    "uuid",
    "id",
    "rev",
    "revision",
    "commit",
    "version",
    "public",
    "pub",
    "cert",
];

/// Whether a key names a value that is made to be shown.
pub(super) fn is_shown(key: &str) -> bool {
    words(key).iter().any(|word| HASHES.contains(&word.as_str()))
}

/// Whether a key names a secret: its own name, or that of the map or list it stands in.
pub(super) fn is_secret(keys: &[&str]) -> bool {
    let Some((name, above)) = keys.split_last() else { return false };
    let is_collection = |key: &&str| {
        let words = words(key);
        words.last().is_some_and(|last| {
            matches!(last.as_str(), "passwords" | "secrets" | "tokens" | "credentials" | "passphrases")
        })
    };
    names_secret(name) || above.last().is_some_and(is_collection) && !is_about(&words(name))
}

/// Whether a key names a secret that may be a number. `max_tokens` counts something.
pub(super) fn is_secret_number(keys: &[&str]) -> bool {
    let is_password =
        |word: &String| ["password", "passwd", "passphrase", "passcode", "pass", "pwd", "pin"].contains(&word.as_str());
    keys.last().is_some_and(|name| {
        let words = words(name);
        words.iter().any(is_password) && !is_about(&words)
    })
}

/// Whether a name is about a secret, and names none itself: `password_file`.
fn is_about(words: &[String]) -> bool {
    /// The last words of such names.
    const ABOUT: [&str; 33] = [
        "file",
        "files",
        "path",
        "dir",
        "name",
        "names",
        "url",
        "uri",
        "endpoint",
        "id",
        "ids",
        "length",
        "policy",
        "enabled",
        "enable",
        "required",
        "ttl",
        "expiry",
        "expires",
        "timeout",
        "type",
        "ref",
        "store",
        "class",
        "provider",
        "format",
        "size",
        "count",
        "rotation",
        "public",
        "hint",
        "algorithm",
        "lifetime",
    ];
    words.iter().any(|word| word == "public") || words.last().is_some_and(|last| ABOUT.contains(&last.as_str()))
}

fn names_secret(name: &str) -> bool {
    let mut words = words(name);
    // `password_unencrypted` is as secret as `password`.
    while words.last().is_some_and(|last| matches!(last.as_str(), "unencrypted" | "plain" | "clear" | "cleartext")) {
        words.pop();
    }
    !is_about(&words) && has_secret_words(&words)
}

fn has_secret_words(words: &[String]) -> bool {
    /// One of these words makes a name that of a secret.
    const SECRET: [&str; 16] = [
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "passcode",
        "pass",
        "pwd",
        "secret",
        "secrets",
        "token",
        "tokens",
        "apikey",
        "credential",
        "credentials",
        "psk",
        "privatekey",
    ];
    /// And so do these words before `key`.
    const KEYS: [&str; 9] =
        ["api", "private", "secret", "access", "auth", "signing", "encryption", "master", "preshared"];
    words.iter().any(|word| SECRET.contains(&word.as_str()))
        || words.windows(2).any(|pair| matches!(pair, [first, key] if key == "key" && KEYS.contains(&first.as_str())))
}

/// The words of a name, in lower case: `dbPassword`, `DB_PASSWORD` and `db-password` are of the same two.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in name.chars() {
        let begins = c.is_uppercase() && (last.is_lowercase() || last.is_ascii_digit());
        if c.is_alphanumeric() {
            match words.last_mut() {
                Some(word) if last.is_alphanumeric() && !begins => word.extend(c.to_lowercase()),
                _ => words.push(c.to_lowercase().collect()),
            }
        }
        last = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        let secret =
            ["password", "DB_PASSWORD", "dbPassword", "api_key", "apiKey", "private-key", "password_unencrypted"];
        for name in secret.into_iter().chain(["clientSecret", "GITHUB_TOKEN", "wifi-psk", "credentials", "smtp.pass"]) {
            assert!(is_secret(&[name]), "{name}");
        }
        let plain =
            ["user", "password_file", "tokenUrl", "secretName", "passwordPolicy", "public_key", "compass", "key"];
        for name in plain.into_iter().chain(["keyboard", "bypass", "secret_id_ttl", "monkey"]) {
            assert!(!is_secret(&[name]), "{name}");
        }
        assert!(is_secret(&["passwords", "alice"]) && !is_secret(&["users", "alice"]));
        assert!(is_secret_number(&["db_password"]) && !is_secret_number(&["max_tokens"]));
        assert!(!is_secret(&["imagePullSecrets", "name"]));
        assert!(is_shown("sha256") && is_shown("certId") && !is_shown("password"));
    }
}
