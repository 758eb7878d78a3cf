//! Which units are told of a change.

use crate::changes::Changes;
use crate::manifest::Units;
use crate::manifest::unit::UnitName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is asked of systemd: each unit once.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Units to restart.
    pub restart: BTreeSet<UnitName>,
    /// Units to reload. None of them is restarted.
    pub reload: BTreeSet<UnitName>,
}

impl Requests {
    /// What these changes ask for; `units_of` gives the units that a file names. A restart beats a reload.
    pub fn of<'a>(changes: &Changes, units_of: impl Fn(&str) -> Option<&'a Units>) -> Self {
        let (mut restart, mut reload) = (BTreeSet::new(), BTreeSet::new());
        let changed = changes.0.iter().filter(|(_, change)| change.is_one());
        for units in changed.filter_map(|(file, _)| units_of(file)) {
            restart.extend(units.restart.iter().cloned());
            reload.extend(units.reload.iter().cloned());
        }
        Self::default().and(Self { restart, reload })
    }

    /// What this and the other ask for.
    pub fn and(mut self, other: Self) -> Self {
        self.restart.extend(other.restart);
        self.reload.extend(other.reload);
        self.reload.retain(|unit| !self.restart.contains(unit));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::Change;

    #[test]
    fn each_unit_is_asked_once_and_a_restart_beats_a_reload() {
        let names = |names: &[&str]| names.iter().map(|name| UnitName::new(name).unwrap()).collect::<Vec<_>>();
        let a = Units { restart: names(&["x", "y"]), reload: names(&["z"]) };
        let b = Units { restart: names(&["x"]), reload: names(&["y", "w"]) };
        let unchanged = Units { restart: names(&["never"]), reload: Vec::new() };
        let changes = [("a", Change::New), ("b", Change::Removed), ("c", Change::Same), ("d", Change::New)];
        let changes = Changes(changes.map(|(file, change)| (file.to_owned(), change)).into());
        let requests = Requests::of(&changes, |file| match file {
            "a" => Some(&a),
            "b" => Some(&b),
            "c" => Some(&unchanged),
            _ => None,
        });
        assert_eq!(requests.restart, BTreeSet::from_iter(names(&["x", "y"])));
        assert_eq!(requests.reload, BTreeSet::from_iter(names(&["w", "z"])));
    }
}
