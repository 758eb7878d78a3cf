//! Generations: their numbers, and which of them go.
//!
//! The live generation always has the highest number. What stands above it is the rest of a run that was cut off.

/// The number that a directory's name stands for. Only the form that is written here counts, so `007` is a name that
/// belongs to somebody else.
pub fn number_of(name: &str) -> Option<u64> {
    // No run ever gets this far; a name that does is somebody's, and must not use the numbers up.
    const HIGHEST: u64 = 1 << 62;
    name.parse().ok().filter(|number: &u64| number.to_string() == name && *number <= HIGHEST)
}

/// The number of the next generation: above the live one and above all others.
pub fn next(entries: &[String], live: Option<u64>) -> Option<u64> {
    entries.iter().filter_map(|name| number_of(name)).chain(live).max().unwrap_or(0).checked_add(1)
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
    fn the_next_number_is_above_all_others() {
        assert_eq!(next(&entries(&["1", "3", "x", "007", "9223372036854775807"]), Some(2)), Some(4));
        assert_eq!(next(&[], None), Some(1));
        assert_eq!(next(&[], Some(7)), Some(8));
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
