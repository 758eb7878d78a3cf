//! Generations: their numbers, which of them go, and the names that the store keeps for itself.
//!
//! A new generation gets a number above all others. What stands above the live one was cut off or rolled back.

use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};

/// The file in a generation that tells what it holds.
pub const RECORD: &str = ".sops-install.json";

/// The directory that a generation is written in before it gets its number.
pub const STAGING: &str = ".staging";

/// The file that tells a store: it names the links to live generations that the store serves, one a line. A directory
/// without it may be anybody's.
pub const MARK: &str = ".sops-install";

/// The name under which a file of the program's own is written before it takes the old one's place.
pub fn new_name(name: &OsStr) -> OsString {
    OsString::from_iter([name, OsStr::new(".new")])
}

/// The name that a generation gets while it is removed: half of one must not look like a whole one.
pub const REMOVING: &str = ".removing";

/// Whether a name in the store or in a generation is the program's own.
pub fn is_reserved(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    [RECORD, STAGING, REMOVING, MARK].contains(&name)
}

/// The beginning of a hash in hexadecimal, for names that say nothing.
pub fn short_hash(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The file that the store called `name` is locked with. It stands beside it.
pub fn lock_name(name: &OsStr) -> OsString {
    OsString::from_iter([OsStr::new("."), name, OsStr::new(".lock")])
}

/// The number that a directory's name stands for. Only the form that is written here counts, so `007` is a name that
/// belongs to somebody else.
pub fn number_of(name: &str) -> Option<u64> {
    // No run ever gets this far; a name that does is somebody's, and must not use the numbers up.
    const HIGHEST: u64 = 1 << 62;
    name.parse().ok().filter(|number: &u64| number.to_string() == name && *number <= HIGHEST)
}

/// The number of the next generation: above the live one and above all others.
pub fn next(numbers: &[u64], live: Option<u64>) -> Option<u64> {
    numbers.iter().copied().chain(live).max().unwrap_or(0).checked_add(1)
}

/// The generations among `numbers` that no link leads to any more: those above the live one, or all where none is live.
/// A run was cut off there, or was rolled back.
pub fn leftovers(numbers: &[u64], live: Option<u64>) -> Vec<u64> {
    numbers.iter().copied().filter(|number| live.is_none_or(|live| *number > live)).collect()
}

/// The generations among `numbers` that go when `live` is live and `keep` are kept, the live one included; 0 keeps all.
pub fn prunable(numbers: &[u64], live: u64, keep: u64) -> Vec<u64> {
    if keep == 0 {
        return Vec::new();
    }
    let mut older: Vec<u64> = numbers.iter().copied().filter(|number| *number < live).collect();
    older.sort_unstable_by(|a, b| b.cmp(a));
    older.into_iter().skip(usize::try_from(keep - 1).unwrap_or(usize::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_above_all_others() {
        let numbers = |names: &[&str]| names.iter().filter_map(|name| number_of(name)).collect::<Vec<_>>();
        assert_eq!(next(&numbers(&["1", "3", "x", "007", "9223372036854775807"]), Some(2)), Some(4));
        assert_eq!(next(&[], None), Some(1));
        assert_eq!(next(&[], Some(7)), Some(8));
    }

    #[test]
    fn prunes_all_but_the_newest() {
        let all = [4, 1, 3, 2, 9];
        assert_eq!(prunable(&all, 4, 1), [3, 2, 1]);
        assert_eq!(prunable(&all, 4, 3), [1]);
        assert_eq!(prunable(&all, 4, 0), Vec::<u64>::new());
        assert_eq!(prunable(&all, 4, 9), Vec::<u64>::new());
        // Those of another manifest lie between.
        assert_eq!(prunable(&[2, 5, 9], 9, 2), [2]);
        assert_eq!(leftovers(&all, Some(4)), [9]);
        assert_eq!(leftovers(&all, None), all);
    }
}
