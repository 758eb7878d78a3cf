use super::{error, shown};

fn value(text: &str) -> String {
    let shown = shown(&format!("a: {text}\n"));
    match shown.strip_prefix("{a: ") {
        Some(value) => value.strip_suffix('}').unwrap().to_owned(),
        None => shown,
    }
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(value(text), *expected, "{text}");
    }
}

#[test]
fn null_and_booleans_have_few_spellings() {
    check(&[("", "null"), ("~", "null"), ("null", "null"), ("Null", "null"), ("NULL", "null"), ("nUll", r#""nUll""#)]);
    check(&[("true", "true"), ("True", "true"), ("TRUE", "true"), ("false", "false"), ("tRue", r#""tRue""#)]);
    check(&[("yes", r#""yes""#), ("no", r#""no""#), ("on", r#""on""#), ("y", r#""y""#)]);
}

#[test]
fn integers_come_in_many_notations() {
    check(&[("1", "int 1"), ("+12", "int 12"), ("-0", "int 0"), ("1_000", "int 1000"), ("1_", "int 1")]);
    check(&[("0x1F", "int 31"), ("-0x1f", "int -31"), ("0X_1", "int 1"), ("0o17", "int 15"), ("0b101", "int 5")]);
    check(&[("017", "int 15"), ("0_7", "int 7"), ("00", "int 0"), ("0b-1", "int -1"), ("0o-7", "int -7")]);
    check(&[("9223372036854775807", "int 9223372036854775807"), ("-9223372036854775808", "int -9223372036854775808")]);
    check(&[("0x", r#""0x""#), ("1a", r#""1a""#), ("_1", r#""_1""#), ("+", r#""+""#), ("0x1p3", r#""0x1p3""#)]);
}

#[test]
fn integers_beyond_64_bits_with_a_sign() {
    let error = error("a: 1\nb: [18446744073709551615]\n");
    assert_eq!(error.line, Some(2));
    assert_eq!(
        error.why,
        "holds, under the key `b`, an integer that is too large for sops, which holds 64 bits with a sign"
    );
    assert_eq!(value("18446744073709551616"), "float 1.8446744073709552e19");
    assert_eq!(value("-9223372036854775809"), "float -9.223372036854776e18");
}

#[test]
fn floats() {
    check(&[
        ("1.5", "float 1.5"),
        ("1.", "float 1.0"),
        (".5", "float 0.5"),
        ("1e3", "float 1000.0"),
        ("08", "float 8.0"),
    ]);
    check(&[("-0.0", "float -0.0"), ("1_0.5", "float 10.5"), (".5_0", "float 0.5"), ("._5", r#""._5""#)]);
    check(&[(".inf", "float inf"), ("-.INF", "float -inf"), (".nan", "float NaN"), (".iNf", r#"".iNf""#)]);
    check(&[("1e309", r#""1e309""#), (".1e999", r#"".1e999""#), ("1e-400", "float 0.0"), ("1e", r#""1e""#)]);
    check(&[("1:20", r#""1:20""#), ("inf", r#""inf""#), (".", r#"".""#)]);
}

#[test]
fn times_are_written_the_way_of_go() {
    check(&[("2001-01-02", "time 2001-01-02T00:00:00Z"), ("2001-1-2", "time 2001-01-02T00:00:00Z")]);
    check(&[
        ("2001-01-02T03:04:05Z", "time 2001-01-02T03:04:05Z"),
        ("2001-01-02t3:4:5,50Z", "time 2001-01-02T03:04:05.5Z"),
    ]);
    check(&[
        ("2001-01-02 03:04:05.0", "time 2001-01-02T03:04:05Z"),
        ("2001-01-02   3:4:5", "time 2001-01-02T03:04:05Z"),
    ]);
    check(&[
        ("2001-01-02T03:04:05.1234567891+01:30", "time 2001-01-02T03:04:05.123456789+01:30"),
        ("2001-01-02T03:04:05-00:00", "time 2001-01-02T03:04:05Z"),
        ("2001-01-02T03:04:05+01:60", "time 2001-01-02T03:04:05+02:00"),
    ]);
    check(&[("2000-02-29", "time 2000-02-29T00:00:00Z"), ("2001-02-29", r#""2001-02-29""#)]);
    for text in ["2001-13-01", "2001-01-02T24:00:00Z", "2001-01-02T03:04:05", "2001-01-02 03:04:05Z", "201-01-01"] {
        assert_eq!(value(text), format!("{text:?}"));
    }
    assert!(value("2001-01-02T03:04:05+24:00").contains("a whole day or more away from UTC"));
}

#[test]
fn quotes_and_blocks_make_text() {
    check(&[("\"1\"", r#""1""#), ("'true'", r#""true""#), ("|-\n  1", r#""1""#), ("''", r#""""#)]);
    check(&[(r#""\x41\u00e9\U0001F600\n\_\e""#, r#""Aé😀\n\u{a0}\u{1b}""#)]);
}

#[test]
fn tags_decide() {
    check(&[("!!str 1", r#""1""#), ("!!str", r#""""#), ("!!int '5'", "int 5"), ("!!float 1", "float 1.0")]);
    check(&[("! 1", "int 1"), ("! '1'", r#""1""#), ("!foo 1", r#""1""#), ("!!foo 1", r#""1""#)]);
    check(&[("!<tag:yaml.org,2002:int> 1", "int 1"), ("!!null ''", "null"), ("!!bool true", "true")]);
    check(&[("!!timestamp '2001-01-01'", "time 2001-01-01T00:00:00Z"), ("!!set {b, c}", "{b: null, c: null}")]);
    for text in ["!!int 1.5", "!!bool yes", "!!null x", "!!float x", "!!timestamp x", "!!binary _"] {
        assert!(value(text).ends_with("a value that does not fit the tag in front of it"), "{text}");
    }
}

#[test]
fn binary_is_base64() {
    check(&[("!!binary aGk=", r#""hi""#), ("!!binary |\n  aG\n  k=", r#""hi""#), ("!!binary //8=", "[255, 255]")]);
}
