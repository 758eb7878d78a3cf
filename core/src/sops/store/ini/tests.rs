//! What the store reads and prints, as gopkg.in/ini.v1 v1.67.3 and sops 3.13.2 do.

use super::{print, read};
use crate::sops::store::SyntaxError;
use crate::sops::tree::{Comment, Entry, Map, MapItem, Node, Scalar};
use zeroize::Zeroizing;

/// The tree in one line: `[section] key=value #comment`.
fn tree(text: &[u8]) -> String {
    let map = read(text).unwrap_or_else(|error| panic!("{:?}: {}", error.line, error.why));
    let mut out = Vec::new();
    for section in map.entries() {
        out.push(format!("[{}]", section.key));
        let Node::Map(keys) = &section.value else { panic!("no map") };
        for item in &keys.0 {
            out.push(match item {
                MapItem::Comment(comment) => format!("#{}", comment.text.expose_text().unwrap()),
                MapItem::Entry(Entry { key, value: Node::Scalar(Scalar::Str(value)), .. }) => {
                    format!("{key}={}", value.expose_text().unwrap())
                }
                MapItem::Entry(_) => panic!("no text"),
            });
        }
    }
    let out = out.join(" ");
    out.strip_prefix("[DEFAULT] ").unwrap_or(&out).to_owned()
}

/// The value of the only key.
fn value(text: &str) -> String {
    tree(format!("k = {text}").as_bytes()).trim_start_matches("k=").to_owned()
}

fn printed(text: &[u8]) -> String {
    print(&read(text).unwrap()).unwrap().expose_text().unwrap().to_owned()
}

fn entry(key: &str, value: Node) -> MapItem {
    MapItem::Entry(Entry { key: key.to_owned(), value, line: 0 })
}

fn text(text: &str) -> Node {
    Node::Scalar(Scalar::Str(text.into()))
}

fn note(text: &str) -> MapItem {
    MapItem::Comment(Comment { text: text.into(), inline: false })
}

/// One section `s` with these items, printed.
fn section(items: Vec<MapItem>) -> String {
    let map = Map(vec![entry("s", Node::Map(Map(items)))]);
    print(&map).unwrap().expose_text().unwrap().to_owned()
}

#[test]
fn sections_and_keys_keep_their_order() {
    assert_eq!(tree(b""), "[DEFAULT]");
    assert_eq!(tree(b"a=1\n[s]\nb : 2\n[t]\n[s]\nc=3"), "a=1 [s] b=2 [t] [s] c=3");
    assert_eq!(tree(b"[DEFAULT]\na=1\r\n [ x ] y ]\r\n"), "[DEFAULT] a=1 [ x ] y ]");
    assert_eq!(tree(b"\xef\xbb\xbfa=1"), "a=1");
}

#[test]
fn a_repeated_key_keeps_its_place_and_takes_the_last_value_and_comment() {
    assert_eq!(tree(b"# one\na=1\nb=2\na=3"), "a=3 b=2");
    assert_eq!(tree(b"a=1\nb=2\n# two\na=3"), "a=3 #two b=2");
}

#[test]
fn comments_lose_their_first_mark() {
    assert_eq!(
        tree(b"; one\n[s] ; two\n# # three\n## four\na=1 # five\n# lost"),
        "[s] #one\n; two a=1 #three\n## four\n# five"
    );
    assert_eq!(tree(b"#\na=1"), "a=1 #");
}

#[test]
fn keys_may_be_quoted_and_a_dash_counts() {
    assert_eq!(tree(b"`a=b` x = 1\n\"c:d\"=2\n\"\"\"e\"f\"\"\"=3"), "a=b=1 c:d=2 e\"f=3");
    assert_eq!(tree(b"-=1\n-=2\n[s]\n-=3"), "#1=1 #2=2 [s] #1=3");
}

#[test]
fn values_end_at_comments_and_lose_their_quotes() {
    assert_eq!(value("a#b;c"), "a #b;c");
    assert_eq!(value("\"a b \" ; c"), "a b  #c");
    assert_eq!(value("'a'"), "a");
    assert_eq!(value("'a'b'"), "'a'b'");
    assert_eq!(value("\"a#b\""), "\"a #b\"");
    assert_eq!(value("`a#b` # c"), "a#b");
    assert_eq!(value("`a`b` c"), "a`b");
    assert_eq!(value("\"\"\"a#\"b\"\"\""), "a#\"b");
    assert_eq!(value("\u{3000}a\u{a0}"), "a");
    assert_eq!(value("\"\"\""), "\"\"\"");
}

#[test]
fn quoted_values_go_on_until_the_quote_closes() {
    assert_eq!(value("`a\n b \r\nc` ; d\ne=1"), "a\n b \r\nc #d e=1");
    assert_eq!(value("\"\"\"\na\n\"\"\" x \\\nb\"\"\""), "\na\n\"\"\" x \\\nb");
}

#[test]
fn a_backslash_continues_a_value() {
    assert_eq!(value("a \\\n  b # c\\ \n 'd'\ne=1"), "a b # c'd' e=1");
    assert_eq!(value("a\\\n\nb=1"), "a b=1");
    assert_eq!(value("a\\"), "a");
}

#[test]
fn lines_are_counted() {
    let map = read(b"\n[s]\na=`\n`\nb=1\na=2").unwrap();
    let Some(Node::Map(keys)) = map.get("s") else { panic!("no section") };
    assert_eq!(map.entries().map(|entry| entry.line).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(keys.entries().map(|entry| entry.line).collect::<Vec<_>>(), [6, 5]);
}

#[test]
fn errors_name_the_line_and_keep_the_secret() {
    let cases: [(&[u8], u32, &str); 9] = [
        (b"a=1\n[s", 2, "opens a section and has no `]`"),
        (b"[]", 1, "opens a section without a name"),
        (b"\nhunter2\n", 2, "is neither a section, a comment nor a key with `=` or `:`"),
        (b"=hunter2", 1, "has an empty key"),
        (b"\"\"=hunter2", 1, "has an empty key"),
        (b"`hunter2=", 1, "has a key whose quote never closes"),
        (b"a=1\nb=`hunter2\n\n", 2, "opens a quote that never closes"),
        (b"\xff=1", 1, "has a name that is not UTF-8"),
        (b"[\xff]", 1, "has a name that is not UTF-8"),
    ];
    for (text, line, why) in cases {
        assert_eq!(read(text).err(), Some(SyntaxError::at(line, why)));
    }
}

#[test]
fn prints_sections_apart_and_keys_aligned() {
    assert_eq!(printed(b"[s]\nlong=1\na=\n[t]\n[u]\nb=2"), "[s]\nlong = 1\na    = \n\n[t]\n\n[u]\nb = 2\n");
    assert_eq!(printed(b"a=1\n[DEFAULT]\nb=2"), "a = 1\n\n[DEFAULT]\nb = 2\n");
    assert_eq!(print(&Map::default()).unwrap().expose(), b"");
}

#[test]
fn the_default_section_needs_no_header_in_any_case() {
    let map = Map(vec![entry("Default", Node::Map(Map(vec![entry("a", text("1"))])))]);
    assert_eq!(print(&map).unwrap().expose(), b"a = 1\n");
}

#[test]
fn quotes_names_and_values_as_ini_v1_does() {
    assert_eq!(
        section(vec![entry("a=b", text("")), entry("c`", text("")), entry("d", text(""))]),
        "[s]\n`a=b`    = \n\"\"\"c`\"\"\" = \nd        = \n"
    );
    let values = [("a\nb#", "\"\"\"a\nb#\"\"\""), ("a`b", "\"\"\"a`b\"\"\""), ("a;b", "`a;b`"), (" a", "\" a\"")];
    for (value, expected) in values.into_iter().chain([("\"a\"", "\"a\""), ("a\\", "a\\")]) {
        assert_eq!(section(vec![entry("k", text(value))]), format!("[s]\nk = {expected}\n"));
    }
}

#[test]
fn prints_comments_with_a_mark_on_each_line() {
    let items = vec![note(" one \n#two"), note("lost"), entry("a", text("1")), note("old"), note(" three \n;four")];
    assert_eq!(section(items), ";  one \n# two\n[s]\n; three\n; four\na = 1\n");
}

#[test]
fn prints_leaves_as_text() {
    let items = vec![
        entry("n", Node::Scalar(Scalar::Null)),
        entry("f", Node::Scalar(Scalar::Float(Zeroizing::new(1e6)))),
        entry("t", Node::Scalar(Scalar::Time(Zeroizing::new("2020-01-02T03:04:05.6Z".to_owned())))),
    ];
    assert_eq!(section(items), "[s]\nn = <nil>\nf = 1E+06\nt = 2020-01-02T03:04:05Z\n");
}

#[test]
fn refuses_trees_that_are_no_ini_file() {
    let refused = |item| print(&Map(vec![item])).err().map(|error| error.key);
    let of_section = |items| entry("s", Node::Map(Map(items)));
    assert_eq!(refused(entry("a", text("1"))).as_deref(), Some("a"));
    assert_eq!(refused(entry("", Node::Map(Map::default()))).as_deref(), Some(""));
    assert_eq!(refused(of_section(vec![entry("k", Node::Map(Map::default()))])).as_deref(), Some("s/k"));
    assert_eq!(refused(of_section(vec![entry("", text("1"))])).as_deref(), Some("s/"));
    assert_eq!(refused(of_section(vec![note("a\n\nb")])).as_deref(), Some("s"));
    assert_eq!(refused(of_section(vec![entry("k", text("1")), note("\na")])).as_deref(), Some("s/k"));
}

#[test]
fn refuses_to_fill_the_memory_with_alignment() {
    let mut items = vec![entry(&"k".repeat(1 << 20), text("1"))];
    items.extend((0..100).map(|number| entry(&number.to_string(), text("1"))));
    let map = Map(vec![entry("s", Node::Map(Map(items)))]);
    assert_eq!(print(&map).err().map(|error| error.key).as_deref(), Some("s"));
}
