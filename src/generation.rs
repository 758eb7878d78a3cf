//! Generations: their numbers, and which of them go.
//!
//! The live generation always has the highest number. What stands above it is the rest of a run that was cut off.

use crate::manifest::path::AbsolutePath;
use std::path::Path;

/// The number of the generation that the link at `symlinkPath` leads to; `None` where it leads elsewhere.
pub fn live(link_target: &Path, mount_point: &AbsolutePath) -> Option<u64> {
    let number = link_target.strip_prefix(mount_point.as_path()).ok()?;
    number.to_str().and_then(number_of)
}

/// The number that a directory's name stands for. Only the form that is written here counts, so `007` is a name that
/// belongs to somebody else.
pub fn number_of(name: &str) -> Option<u64> {
    name.parse().ok().filter(|number: &u64| number.to_string() == name)
}

/// The generations among `entries` that a run was cut off at: above the live one. They were never live.
pub fn leftovers(entries: &[String], live: u64) -> Vec<u64> {
    entries.iter().filter_map(|name| number_of(name)).filter(|number| *number > live).collect()
}

/// The generations among `entries` that go when `live` is live and `keep` are kept, the live one included; 0 keeps all.
pub fn prunable(entries: &[String], live: u64, keep: u64) -> Vec<u64> {
    let newest_to_go = match keep {
        0 => return Vec::new(),
        keep => live.checked_sub(keep),
    };
    let numbers = entries.iter().filter_map(|name| number_of(name));
    numbers.filter(|number| newest_to_go.is_some_and(|newest| *number <= newest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn reads_the_live_number_from_the_link() {
        let mount_point = AbsolutePath::new("/run/secrets.d", Path::new("/")).unwrap();
        let live = |target: &str| super::live(Path::new(target), &mount_point);
        assert_eq!(live("/run/secrets.d/12"), Some(12));
        for target in ["/run/secrets.d", "/run/secrets.d/x", "/run/secrets.d/1/2", "/run/other/1", "/run/secrets.d/01"]
        {
            assert_eq!(live(target), None, "{target}");
        }
    }

    #[test]
    fn prunes_at_or_below_live_minus_kept() {
        let all = entries(&["1", "2", "3", "4", "age-keys.txt", "007", "9"]);
        assert_eq!(prunable(&all, 4, 1), [1, 2, 3]);
        assert_eq!(prunable(&all, 4, 3), [1]);
        assert_eq!(prunable(&all, 4, 0), Vec::<u64>::new());
        assert_eq!(prunable(&all, 4, 9), Vec::<u64>::new());
        assert_eq!(leftovers(&all, 4), [9]);
    }
}
