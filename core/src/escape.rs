//! Text written so that another program reads it back as it was: as JSON, for a shell, for systemd, in a URL.

use crate::secret::SecretBytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// For whom text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Escape {
    /// A JSON string, with its quotes (RFC 8259, section 7).
    Json,
    /// One word of a POSIX shell, in single quotes.
    Shell,
    /// The value of a variable in systemd's `EnvironmentFile=`, in double quotes where it needs them (systemd.exec).
    SystemdEnv,
    /// A part of a URL: all but letters, digits, `-`, `.`, `_` and `~` as `%XX` (RFC 3986, section 2.3).
    Url,
    /// Base64 with padding (RFC 4648, section 4).
    Base64,
}

impl Escape {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Json, Self::Shell, Self::SystemdEnv, Self::Url, Self::Base64];

    /// The name that a template uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Shell => "shell",
            Self::SystemdEnv => "systemd-env",
            Self::Url => "url",
            Self::Base64 => "base64",
        }
    }

    /// The one called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|escape| escape.name() == name)
    }

    /// Appends `bytes` to `to`. `in_quotes` says that a JSON string is open already there.
    ///
    /// # Errors
    /// Why the reader could not hold them, as the end of a sentence that begins with the secret.
    pub fn write(self, bytes: &[u8], in_quotes: bool, to: &mut SecretBytes) -> Result<(), &'static str> {
        match self {
            Self::Json if in_quotes => json(text(bytes)?, to),
            Self::Json => {
                to.push_text("\"");
                json(text(bytes)?, to);
                to.push_text("\"");
            }
            Self::Shell => shell(without_nul(bytes)?, to),
            Self::SystemdEnv => systemd_env(text(without_nul(bytes)?)?, to),
            Self::Url => url(bytes, to),
            Self::Base64 => {
                let mut encoded = Zeroizing::new(vec![0; bytes.len().div_ceil(3) * 4]);
                // The buffer has the size that base64 has.
                let length = STANDARD.encode_slice(bytes, &mut encoded).unwrap_or_default();
                to.push(encoded.get(..length).unwrap_or_default());
            }
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")
}

fn without_nul(bytes: &[u8]) -> Result<&[u8], &'static str> {
    if bytes.contains(&0) { Err("holds a NUL byte") } else { Ok(bytes) }
}

/// The inside of a JSON string.
fn json(text: &str, to: &mut SecretBytes) {
    let must = |c: char| c == '"' || c == '\\' || c < ' ';
    between(text, must, to, |c, to| match c {
        '"' => to.push_text("\\\""),
        '\\' => to.push_text("\\\\"),
        '\n' => to.push_text("\\n"),
        '\r' => to.push_text("\\r"),
        '\t' => to.push_text("\\t"),
        c => to.push_text(&Zeroizing::new(format!("\\u{:04x}", u32::from(c)))),
    });
}

fn shell(bytes: &[u8], to: &mut SecretBytes) {
    to.push_text("'");
    for (number, part) in bytes.split(|byte| *byte == b'\'').enumerate() {
        if number > 0 {
            to.push_text("'\\''");
        }
        to.push(part);
    }
    to.push_text("'");
}

/// systemd removes quotes and backslashes as a shell does. A value of plain characters is left bare, for programs that do
/// not unquote.
fn systemd_env(text: &str, to: &mut SecretBytes) {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c)) {
        return to.push_text(text);
    }
    to.push_text("\"");
    between(
        text,
        |c| "\"\\`$".contains(c),
        to,
        |c, to| {
            to.push_text("\\");
            to.push_text(c.encode_utf8(&mut [0; 4]));
        },
    );
    to.push_text("\"");
}

fn url(bytes: &[u8], to: &mut SecretBytes) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |number: u8| DIGITS.get(usize::from(number)).copied().unwrap_or_default();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(&[*byte]),
            byte => to.push(&[b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

/// Appends `text`, and `instead` of each character that `must` be written in another way.
fn between(text: &str, must: impl Fn(char) -> bool, to: &mut SecretBytes, instead: impl Fn(char, &mut SecretBytes)) {
    let mut rest = text;
    while let Some((at, special)) = rest.char_indices().find(|(_, c)| must(*c)) {
        let (plain, from_special) = rest.split_at(at);
        to.push_text(plain);
        instead(special, to);
        rest = from_special.strip_prefix(special).unwrap_or_default();
    }
    to.push_text(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(escape: Escape, bytes: &[u8]) -> Result<String, &'static str> {
        let mut to = SecretBytes::default();
        escape.write(bytes, false, &mut to)?;
        Ok(to.expose_text().unwrap().to_owned())
    }

    const NASTY: &str = "a\"b\\c'd $e `f`\n\tä\u{1}%20&=";

    #[test]
    fn json_reads_back() {
        let written = write(Escape::Json, NASTY.as_bytes()).unwrap();
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), NASTY);
        let mut inside = SecretBytes::default();
        Escape::Json.write(NASTY.as_bytes(), true, &mut inside).unwrap();
        assert_eq!(format!("\"{}\"", inside.expose_text().unwrap()), written);
        assert_eq!(write(Escape::Json, b"\xff"), Err("is not UTF-8"));
    }

    #[test]
    fn a_shell_reads_it_back() {
        let written = write(Escape::Shell, NASTY.as_bytes()).unwrap();
        let script = format!("printf %s {written}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.stdout, NASTY.as_bytes());
        assert_eq!(write(Escape::Shell, b""), Ok("''".into()));
        assert_eq!(write(Escape::Shell, b"\0"), Err("holds a NUL byte"));
    }

    #[test]
    fn systemd_gets_quotes_only_where_it_needs_them() {
        assert_eq!(write(Escape::SystemdEnv, b"plain-1.2"), Ok("plain-1.2".into()));
        assert_eq!(write(Escape::SystemdEnv, b"a \"$b\"\\`"), Ok("\"a \\\"\\$b\\\"\\\\\\`\"".into()));
    }

    #[test]
    fn urls_and_base64() {
        assert_eq!(write(Escape::Url, b"a/b?c d~\xff"), Ok("a%2Fb%3Fc%20d~%FF".into()));
        assert_eq!(write(Escape::Base64, b"ab"), Ok("YWI=".into()));
        assert_eq!(write(Escape::Base64, b""), Ok(String::new()));
    }
}
