//! Paths of the machine that a manifest names.

use super::Surroundings;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Component, Path, PathBuf};

/// An absolute path without `.`, `..` or doubled slashes. It is never the root directory.
///
/// So paths that are written alike are the same, which is faster to tell than part by part.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AbsolutePath(PathBuf);

// Linux: NAME_MAX, and PATH_MAX with room for links; each part is a directory that is open while it is walked.
const LONGEST_PART: usize = 255;
const LONGEST: usize = 3500;
const DEEPEST: usize = 64;

impl AbsolutePath {
    /// Takes a path, relative ones from `base`. `..` is refused: what it leads to depends on links on the machine.
    /// The error says why it is no path, as the end of a sentence that begins with the path.
    pub fn new(text: &str, base: &Path) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".into());
        }
        if has_control(text) {
            return Err("holds a control character".into());
        }
        if is_plain(text) {
            return Ok(Self(text.into()));
        }
        if text.starts_with(['~', '$']) {
            return Err("is not expanded as in a shell: write it out, from `/` on".into());
        }
        if text.starts_with("%r/") {
            return Err("begins with `%r`, which has a meaning only with `userMode`".into());
        }
        if Path::new(text).components().any(|part| part == Component::ParentDir) {
            return Err("holds `..`, which may lead elsewhere than it seems".into());
        }
        let path: PathBuf = base.join(text).components().collect();
        if path.components().any(|part| part.as_os_str().len() > LONGEST_PART) {
            return Err(format!("has a part longer than {LONGEST_PART} bytes"));
        }
        if path.as_os_str().len() > LONGEST || path.components().count() > DEEPEST {
            return Err(format!("is longer than {LONGEST} bytes or {DEEPEST} parts"));
        }
        if path.to_str().is_none() {
            return Err("lies below a directory whose name is not UTF-8".into());
        }
        match (path.is_absolute(), path.file_name()) {
            (true, Some(_)) => Ok(Self(path)),
            (true, None) => Err("is the root directory".into()),
            (false, _) => Err("is not absolute".into()),
        }
    }

    /// As [`new`](Self::new), after `%r` became the runtime directory and `%%` became `%`, as sops-nix does in user
    /// mode.
    pub fn in_user_mode(text: &str, surroundings: &Surroundings) -> Result<Self, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded.push_str(before);
            rest = if let Some(after) = after.strip_prefix('r') {
                let directory = surroundings.runtime_directory.as_deref().and_then(Path::to_str);
                expanded.push_str(directory.ok_or("holds `%r`, but $XDG_RUNTIME_DIR is not set to an absolute path")?);
                after
            } else {
                expanded.push('%');
                after.strip_prefix('%').unwrap_or(after)
            };
        }
        expanded.push_str(rest);
        Self::new(&expanded, &surroundings.base)
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path below this one that has this name.
    pub fn join(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// Whether this path is `other`, or one of the two lies below the other.
    pub fn overlaps(&self, other: &AbsolutePath) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }

    /// What this path is below `directory`; `None` where it does not lie below it.
    pub fn below(&self, directory: &AbsolutePath) -> Option<&str> {
        self.0.to_str()?.strip_prefix(directory.0.to_str()?)?.strip_prefix('/')
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_os_str().as_encoded_bytes()
    }
}

/// Whether a text is an absolute path as it stands, with nothing to leave out and no part or length beyond the limits.
/// Most are, and there may be ten thousand of them.
fn is_plain(text: &str) -> bool {
    let Some(parts) = text.strip_prefix('/') else { return false };
    let is_plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && part.len() <= LONGEST_PART;
    // The root directory counts as a part.
    text.len() <= LONGEST && parts_of(parts).all(is_plain) && parts_of(parts).count() < DEEPEST
}

/// The parts between slashes.
pub(super) fn parts_of(text: &str) -> impl Iterator<Item = &[u8]> {
    text.as_bytes().split(|byte| *byte == b'/')
}

/// Whether a text holds a control character.
pub(super) fn has_control(text: &str) -> bool {
    // Most hold nothing but these.
    let is_printable = |byte: u8| matches!(byte, b' '..=b'~');
    !text.bytes().all(is_printable) && text.chars().any(char::is_control)
}

/// Compares part by part: what lies below a path comes right behind it.
pub(super) fn by_parts(a: &[u8], b: &[u8]) -> Ordering {
    let alike = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    // A part that ends comes before all that begin like it, and the end of all before that.
    let rank = |text: &[u8]| text.get(alike).map(|byte| (*byte != b'/', *byte));
    rank(a).cmp(&rank(b))
}

impl PartialEq for AbsolutePath {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for AbsolutePath {}

impl Hash for AbsolutePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

/// In the order of their parts: what lies below a path comes right behind it.
impl Ord for AbsolutePath {
    fn cmp(&self, other: &Self) -> Ordering {
        by_parts(self.bytes(), other.bytes())
    }
}

impl PartialOrd for AbsolutePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for AbsolutePath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text, Path::new("")).map_err(|why| format!("the path `{text}` {why}"))
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Result<String, String> {
        let surroundings = Surroundings {
            base: "/base".into(),
            runtime_directory: Some("/run/user/1000".into()),
            ..Surroundings::default()
        };
        AbsolutePath::in_user_mode(text, &surroundings).map(|path| path.to_string())
    }

    #[test]
    fn relative_paths_start_from_the_base() {
        let path = |text| AbsolutePath::new(text, Path::new("/base")).map(|path| path.to_string());
        assert_eq!(path("a/./b//c").as_deref(), Ok("/base/a/b/c"));
        assert_eq!(path("/run/secrets/").as_deref(), Ok("/run/secrets"));
        for text in ["", "/", "a/../b", "/..", "a\nb", "~/a", "$HOME/a", "%r/a"] {
            assert!(path(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_runtime_directory_stands_for_percent_r() {
        assert_eq!(user("%r/secrets.d").as_deref(), Ok("/run/user/1000/secrets.d"));
        assert_eq!(user("/a%%r/%x").as_deref(), Ok("/a%r/%x"));
        assert!(AbsolutePath::in_user_mode("%r/a", &Surroundings::default()).is_err());
    }

    #[test]
    fn compares_as_the_parts_do() {
        let texts = [
            "/a",
            "/a/b",
            "/a/b/c",
            "/a-b",
            "/a.d/x",
            "/a!",
            "/ab",
            "/a/b-c",
            "/b",
            "/é/a",
            "/é",
            "/run/secrets/a",
            "/run/secrets/b",
            "/run/secrets-b",
            "/run/secrets",
        ];
        for a in texts {
            for b in texts {
                let (one, other) = (AbsolutePath::new(a, Path::new("/")), AbsolutePath::new(b, Path::new("/")));
                let (one, other) = (one.unwrap(), other.unwrap());
                assert_eq!(one.cmp(&other), Path::new(a).cmp(Path::new(b)), "{a} {b}");
                assert_eq!(one == other, a == b, "{a} {b}");
                let below = Path::new(a).strip_prefix(b).ok().and_then(Path::to_str).filter(|rest| !rest.is_empty());
                assert_eq!(one.below(&other), below, "{a} {b}");
            }
        }
    }

    #[test]
    fn the_limits_hold_however_a_path_is_written() {
        let of = |parts: usize, length: usize| format!("/{}", vec!["x".repeat(length); parts].join("/"));
        for written in [String::clone, |path: &String| format!("/.{path}")] {
            let new = |path: String| AbsolutePath::new(&written(&path), Path::new("/"));
            assert!(new(of(63, 2)).is_ok() && new(of(64, 2)).is_err());
            assert!(new(of(1, 255)).is_ok() && new(of(1, 256)).is_err());
            assert!(new(of(13, 255)).is_ok() && new(of(14, 255)).is_err());
        }
    }

    #[test]
    fn tells_what_lies_below() {
        let path = |text| AbsolutePath::new(text, Path::new("/")).unwrap();
        assert_eq!(path("/run/secrets/a/b").below(&path("/run/secrets")), Some("a/b"));
        assert_eq!(path("/run/secrets").below(&path("/run/secrets")), None);
        assert_eq!(path("/run/secrets.d/1").below(&path("/run/secrets")), None);
    }
}
