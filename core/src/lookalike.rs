//! What a file is that was given by mistake: told from how it begins, so that the remedy is the one that helps.

/// A file that is something else than what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookalike {
    /// Text in UTF-16, as some editors of Windows save it.
    Utf16,
    /// A file that git-crypt encrypted.
    GitCrypt,
    /// What Git LFS leaves in place of a file that was not fetched.
    LfsPointer,
    /// A compressed file.
    Gzip,
    /// A file of Ansible Vault.
    AnsibleVault,
    /// A page that a web server sent instead of a file.
    WebPage,
    /// sops's configuration, `.sops.yaml`.
    SopsConfiguration,
    /// A file of age identities.
    AgeIdentities,
    /// An age file, without sops around it.
    AgeFile,
    /// A key or a certificate.
    Pem,
    /// A sops file.
    Sops,
}

impl Lookalike {
    /// What a file is, where that can be told.
    pub fn of(file: &[u8]) -> Option<Self> {
        /// How much is looked at where the sign may stand anywhere.
        const LOOKED_AT: usize = 64 * 1024;
        let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file).trim_ascii_start();
        let begins =
            |sign: &str| text.get(..sign.len()).is_some_and(|start| start.eq_ignore_ascii_case(sign.as_bytes()));
        let lines = || text.get(..text.len().min(LOOKED_AT)).unwrap_or_default().split(|byte| *byte == b'\n');
        let has_line = |sign: &str| lines().any(|line| line.trim_ascii_start().starts_with(sign.as_bytes()));
        Some(match () {
            () if file.starts_with(b"\xff\xfe") || file.starts_with(b"\xfe\xff") => Self::Utf16,
            () if begins("\0GITCRYPT\0") => Self::GitCrypt,
            () if begins("version https://git-lfs.") => Self::LfsPointer,
            () if file.starts_with(b"\x1f\x8b") => Self::Gzip,
            () if begins("$ANSIBLE_VAULT;") => Self::AnsibleVault,
            () if begins("<!DOCTYPE ") || begins("<html") || begins("<?xml") => Self::WebPage,
            () if begins("age-encryption.org/") || begins("-----BEGIN AGE ENCRYPTED FILE-----") => Self::AgeFile,
            () if begins("-----BEGIN ") => Self::Pem,
            () if has_line("AGE-SECRET-KEY-") => Self::AgeIdentities,
            () if has_line("creation_rules:") => Self::SopsConfiguration,
            () if has_line("sops:") || has_line("\"sops\":") || has_line("[sops]") || has_line("sops_") => Self::Sops,
            () => return None,
        })
    }

    /// What it is and what to do, as advice to somebody who wanted `wanted`, such as `a sops file`.
    pub fn advice(self, wanted: &str) -> String {
        let (is, remedy) = match self {
            Self::Utf16 => ("text in UTF-16", "save it as UTF-8, without a byte order mark"),
            Self::GitCrypt => {
                ("encrypted by git-crypt", "run `git-crypt unlock` in its repository, then copy it again")
            }
            Self::LfsPointer => ("a pointer of Git LFS", "run `git lfs pull` in its repository, then copy it again"),
            Self::Gzip => ("compressed with gzip", "unpack it with `gunzip`"),
            Self::AnsibleVault => {
                ("a file of Ansible Vault", "decrypt it with `ansible-vault`, and encrypt it with sops")
            }
            Self::WebPage => ("a web page", "look at what the server answers, and fetch the file again"),
            Self::SopsConfiguration => ("the configuration of sops", "give the path of the file that is meant"),
            Self::AgeIdentities => {
                ("a file of age identities", "give it as `age.keyFile`, and here the file that is meant")
            }
            Self::AgeFile => ("an age file", "give the path of the file that is meant"),
            Self::Pem => ("a key or a certificate", "give the path of the file that is meant"),
            Self::Sops => ("a sops file", "give it as `sopsFile`, and here the file that is meant"),
        };
        format!("it is {is}, not {wanted}: {remedy}")
    }
}

/// The line, counted from 1, in which a merge conflict begins or ends.
pub fn conflict(file: &[u8]) -> Option<usize> {
    let is_mark = |line: &[u8]| [&b"<<<<<<< "[..], b">>>>>>> "].iter().any(|mark| line.starts_with(mark));
    file.split(|byte| *byte == b'\n').position(is_mark).map(|position| position + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_people_give_by_mistake() {
        let of = |text: &str| Lookalike::of(text.as_bytes());
        assert_eq!(of("\n<!doctype html>\n"), Some(Lookalike::WebPage));
        assert_eq!(of("# a key\nAGE-SECRET-KEY-1X\n"), Some(Lookalike::AgeIdentities));
        assert_eq!(of("a: ENC[AES256_GCM,data:]\nsops:\n    age: []\n"), Some(Lookalike::Sops));
        assert_eq!(of("{\n\t\"sops\": {}\n}"), Some(Lookalike::Sops));
        assert_eq!(of("a: b\n"), None);
        assert_eq!(of(""), None);
        assert!(Lookalike::Gzip.advice("a manifest").starts_with("it is compressed with gzip, not a manifest: unpack"));
    }

    #[test]
    fn finds_the_marks_of_a_conflict() {
        assert_eq!(conflict(b"a\n<<<<<<< HEAD\nb\n"), Some(2));
        assert_eq!(conflict(b"a\n=======\n"), None);
    }
}
