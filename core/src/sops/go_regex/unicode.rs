//! What Unicode says of letters: tables that the build script writes.

// `FOLDS`, `RANGES` and `CLASSES`.
include!(concat!(env!("OUT_DIR"), "/unicode.rs"));

/// The letters that differ from this one in case only, by Unicode's simple case folding: `K` and the Kelvin sign for `k`.
pub(super) fn other_cases(letter: char) -> impl Iterator<Item = char> {
    let first = FOLDS.partition_point(|(one, _)| *one < letter);
    FOLDS.iter().skip(first).take_while(move |(one, _)| *one == letter).map(|(_, other)| *other)
}

/// Each letter that has other cases, with each of them.
pub(super) fn all_cases() -> &'static [(char, char)] {
    &FOLDS
}

/// What `\p{NAME}` stands for: a general category or a script. As in Go, its letters may be of either case, and there may be
/// underscores, hyphens and blanks. Go 1.26 finds no script whose name is of several words, which older ones do. Surrogates are none:
/// text has none.
pub(super) fn class(name: &str) -> Option<&'static [(char, char)]> {
    let name: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect::<String>().to_ascii_lowercase();
    CLASSES.lines().find_map(|line| {
        let mut words = line.split(' ');
        let is_it = words.next() == Some(&name);
        let mut place = || words.next()?.parse().ok();
        is_it.then(|| RANGES.get(place()?..place()?)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_have_the_cases_that_unicode_gives_them() {
        let cases = |letter| other_cases(letter).collect::<Vec<_>>();
        assert_eq!(cases('k'), ['K', '\u{212a}']);
        assert_eq!(cases('\u{17f}'), ['S', 's']);
        assert_eq!(cases('\u{3c3}'), ['\u{3a3}', '\u{3c2}']);
        assert_eq!(cases('\u{1e943}'), ['\u{1e921}']);
        // Its lower case is two characters, which simple folding does not know.
        assert_eq!(cases('\u{130}'), []);
        assert_eq!(cases('7'), []);
        assert!(FOLDS.is_sorted());
    }

    #[test]
    fn classes_are_found_by_the_names_that_go_takes() {
        let has = |name, letter| class(name).unwrap().iter().any(|(first, last)| (*first..=*last).contains(&letter));
        assert!(has("Greek", '\u{3b1}') && !has("Greek", 'a'));
        assert!(has("L", '\u{e9}') && has("letter", '\u{e9}') && has("Upper case-Letter", 'A'));
        assert!(has("Old_Italic", '\u{10300}') && has("Any", '\u{10ffff}') && has("Nd", '7'));
        assert_eq!(class("Cs"), Some([].as_slice()));
        assert!(class("Klingon").is_none() && class("").is_none() && class("Greek 0").is_none());
    }
}
