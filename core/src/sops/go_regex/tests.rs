use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    compile(pattern).unwrap().is_match(text.as_bytes())
}

#[test]
fn classes_are_ascii_as_in_go() {
    assert!(matches(r"^\d$", "7") && !matches(r"^\d$", "\u{663}"));
    assert!(matches(r"^[\w-]+$", "a-b") && !matches(r"^\w$", "\u{e9}"));
    assert!(matches(r"^\W$", "\u{e9}") && matches(r"^[^\d]$", "a") && matches(r"^[\D]$", "a"));
    assert!(!matches(r"a\bé", "aéé") || matches(r"a\b", "aé"));
}

#[test]
fn takes_what_only_go_takes() {
    assert!(matches(r"^\Qa.b\E+$", "a.bb") && !matches(r"^\Qa.b\E$", "axb"));
    assert!(matches(r"^[[]$", "[") && matches(r"^[]]$", "]") && matches(r"^[a&&b]$", "&"));
    assert!(
        matches(r"^[\w-.]+$", "a-.") && matches(r"^[\w-]$", "-") && matches(r"^[a-]$", "-") && matches(r"^[+--]$", ",")
    );
    assert!(matches(r"^[--a]$", "Z") && matches(r"^[\t-\r\a]+$", "\n\x07") && matches("^[[:a]+$", "[:"));
    assert!(matches(r"^a{01}$", "a{01}") && matches(r"^a{1,02}$", "a{1,02}") && matches(r"^a\ [\ ]$", "a  "));
    assert!(matches(r"^a(?i){$", "a{") && matches(r"^a(?i){,2}$", "a{,2}") && matches(r"^\x{000000041}$", "A"));
    assert!(matches(r"^a{$", "a{") && matches(r"^a{,2}$", "a{,2}") && matches(r"^a{2}$", "aa"));
    assert!(matches(r"^[[:alpha:]]+$", "ab") && matches(r"^\x41\101$", "AA"));
    assert!(matches(r"^(?i:ABC)$", "abc") && matches(r"^\pL$", "\u{e9}"));
}

/// Each of these was tried with Go 1.26.
#[test]
fn case_counts_for_nothing_where_go_says_so() {
    assert!(matches("(?i)^PASSwort$", "pa\u{17f}\u{17f}WORT") && matches("(?i)^k$", "\u{212a}"));
    assert!(matches("^(?i:a)b$", "Ab") && !matches("^(?i:a)b$", "AB"));
    assert!(matches("^a(?i)b|c$", "aB") && matches("^a(?i)b|c$", "C") && !matches("^a(?i)b$", "AB"));
    assert!(matches("^((?i)a)b$", "Ab") && !matches("^((?i)a)b$", "AB"));
    assert!(matches("^(?i)a(?-i)b$", "Ab") && !matches("^(?i)a(?-i)b$", "AB"));
    assert!(matches("(?i)^[^k]$", "a") && !matches("(?i)^[^k]$", "\u{212a}"));
    assert!(matches("(?i)^[x-z]$", "Y") && matches("(?i)^\\x6b\\113$", "\u{212a}k") && matches("(?i)^\\Qa.\\E$", "A."));
    assert!(matches(r"(?i)^\w$", "\u{17f}") && !matches(r"^\w$", "\u{17f}") && !matches(r"(?i)^\W$", "\u{17f}"));
    assert!(!matches("(?i)^[[:^upper:]]$", "a") && matches("(?i)^[[:lower:]]$", "A"));
    assert!(matches("(?is-m)^a.b$", "A\nb") && matches("^(?P<icon>i)$", "i") && !matches("^(?P<icon>i)$", "I"));
}

#[test]
fn classes_of_unicode_are_those_of_go() {
    assert!(matches(r"^\p{Greek}$", "\u{3b1}") && !matches(r"^\p{Greek}$", "a") && matches(r"^\p{^Greek}$", "a"));
    assert!(matches(r"^\PN\pN$", "a7") && matches(r"^[\p{Lu}_]+$", "A_") && matches(r"^[^\p{Lu}]$", "a"));
    assert!(matches(r"(?i)^\p{Lu}$", "a") && !matches(r"(?i)^\P{Lu}$", "a") && matches(r"^\p{uppercase letter}$", "A"));
    assert!(!matches(r"\p{Cs}", "a") && matches(r"^[\P{Cs}]$", "a"));
}

#[test]
fn no_expression_takes_long_to_search_a_long_text() {
    assert!(compile("(?:.?){1000}{8}Z").is_err());
    let text = [b'x'; 16 << 10];
    let worst = (1..=1000).rev().step_by(10).find_map(|count| compile(&format!("(?:.?){{{count}}}Z")).ok()).unwrap();
    let begun = std::time::Instant::now();
    assert!(!worst.is_match(&text));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn refuses_what_go_refuses() {
    for pattern in [
        "(",
        "a\\",
        "[a",
        r"\y",
        r"\1",
        "(?x)a",
        "(?=a)",
        r"\<a\>\y",
        "(?i",
        "(?-)",
        "(?i-:a)",
        "a)",
        r"\p{Klingon}",
        r"\p",
        r"\xZ",
        r"\x4",
        r"[\x4]",
        r"\x{}",
        r"\x{+1}",
        r"\x{41",
        r"[\x{41]",
        r"\p{L",
        r"[\p{L]",
        r"\x{110000}",
        "[[:foo:]]",
        "[z-a]",
    ] {
        assert!(compile(pattern).is_err(), "{pattern}");
    }
    assert!(compile(r"\<a").is_ok());
    // Go repeats what stands before the flags. This refuses it.
    assert!(compile("a(?i)*").is_err() && compile("a(?i){2}").is_err() && compile("a(?)?").is_err());
}

#[test]
fn classes_that_are_spelled_out_have_a_limit() {
    let many = r"\pL".repeat(LONGEST / 3);
    assert_eq!(compile(&many).unwrap_err(), "with its classes spelled out it is longer than 262144 bytes");
    assert!(compile(&format!("(?i)[{many}]")).is_err() && compile(&format!("[{many}]")).is_err());
}
