//! JSON as sops prints it: Go's `json.Marshal` for leaves, `json.Indent` with tabs around them.

use crate::secret::SecretBytes;
use crate::sops::store::{PrintError, go_number};
use crate::sops::tree::{List, ListItem, Map, MapItem, Node, Scalar};

/// Prints a map as `sops decrypt` prints a JSON file: with tabs, a closing newline and without comments.
///
/// # Errors
///
/// A float that is infinite or not a number.
pub fn print(map: &Map) -> Result<SecretBytes, PrintError> {
    let mut printer = Printer::default();
    printer.map(map)?;
    printer.out.push_text("\n");
    Ok(printer.out)
}

/// Prints one value as `sops decrypt --extract` prints a part of a JSON file: like [`print()`], but without the closing
/// newline.
///
/// # Errors
///
/// A float that is infinite or not a number.
pub fn print_node(node: &Node) -> Result<SecretBytes, PrintError> {
    let mut printer = Printer::default();
    printer.node(node)?;
    Ok(printer.out)
}

#[derive(Default)]
struct Printer<'a> {
    out: SecretBytes,
    /// The keys and list positions that lead to the value being printed: the depth, and the name in an error.
    path: Vec<Step<'a>>,
}

enum Step<'a> {
    Key(&'a str),
    Position(usize),
}

impl<'a> Printer<'a> {
    fn node(&mut self, node: &'a Node) -> Result<(), PrintError> {
        match node {
            Node::Scalar(scalar) => self.scalar(scalar),
            Node::Map(map) => self.map(map),
            Node::List(list) => self.list(list),
        }
    }

    fn map(&mut self, map: &'a Map) -> Result<(), PrintError> {
        let mut empty = true;
        self.out.push_text("{");
        for item in &map.0 {
            let MapItem::Entry(entry) = item else { continue };
            self.path.push(Step::Key(&entry.key));
            self.begin_line(&mut empty);
            self.string(entry.key.as_bytes());
            self.out.push_text(": ");
            self.node(&entry.value)?;
            self.path.pop();
        }
        self.close("}", empty);
        Ok(())
    }

    fn list(&mut self, list: &'a List) -> Result<(), PrintError> {
        let mut empty = true;
        self.out.push_text("[");
        let values = list.0.iter().filter_map(|item| match item {
            ListItem::Value(value) => Some(value),
            ListItem::Comment(_) => None,
        });
        for (position, value) in values.enumerate() {
            self.path.push(Step::Position(position));
            self.begin_line(&mut empty);
            self.node(value)?;
            self.path.pop();
        }
        self.close("]", empty);
        Ok(())
    }

    fn begin_line(&mut self, empty: &mut bool) {
        if !*empty {
            self.out.push_text(",");
        }
        *empty = false;
        self.newline();
    }

    /// Empty maps and lists stay on one line.
    fn close(&mut self, bracket: &str, empty: bool) {
        if !empty {
            self.newline();
        }
        self.out.push_text(bracket);
    }

    fn newline(&mut self) {
        self.out.push_text("\n");
        for _ in &self.path {
            self.out.push_text("\t");
        }
    }

    fn scalar(&mut self, scalar: &Scalar) -> Result<(), PrintError> {
        match scalar {
            Scalar::Null => self.out.push_text("null"),
            Scalar::Bool(value) => self.out.push_text(if **value { "true" } else { "false" }),
            Scalar::Int(number) => self.out.push(SecretBytes::from(number.to_string()).expose()),
            Scalar::Float(number) => {
                let Some(text) = go_number::json(**number) else {
                    return Err(self.error("is infinite or not a number, which JSON cannot hold"));
                };
                self.out.push(SecretBytes::from(text).expose());
            }
            Scalar::Str(text) => self.string(text.expose()),
            Scalar::Time(time) => self.string(time.as_bytes()),
        }
        Ok(())
    }

    /// Text with Go's escapes. `<`, `>` and `&` are among them, and U+FFFD stands for every byte that is not UTF-8.
    fn string(&mut self, bytes: &[u8]) {
        self.out.push_text("\"");
        for chunk in bytes.utf8_chunks() {
            self.escaped(chunk.valid());
            // One escape for each byte: Go does not join the bytes of a broken character.
            for _ in chunk.invalid() {
                self.out.push_text("\\ufffd");
            }
        }
        self.out.push_text("\"");
    }

    fn escaped(&mut self, mut text: &str) {
        while let Some((at, c)) = text.char_indices().find(|(_, c)| needs_escape(*c)) {
            let (before, rest) = text.split_at(at);
            self.out.push_text(before);
            match c {
                '"' => self.out.push_text("\\\""),
                '\\' => self.out.push_text("\\\\"),
                '\u{8}' => self.out.push_text("\\b"),
                '\u{c}' => self.out.push_text("\\f"),
                '\n' => self.out.push_text("\\n"),
                '\r' => self.out.push_text("\\r"),
                '\t' => self.out.push_text("\\t"),
                _ => self.out.push_text(&format!("\\u{:04x}", u32::from(c))),
            }
            text = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        self.out.push_text(text);
    }

    fn error(&self, why: &str) -> PrintError {
        let path: Vec<_> = self
            .path
            .iter()
            .map(|step| match step {
                Step::Key(key) => (*key).to_owned(),
                Step::Position(position) => position.to_string(),
            })
            .collect();
        PrintError { key: path.join("/"), why: why.to_owned() }
    }
}

fn needs_escape(c: char) -> bool {
    c < ' ' || matches!(c, '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::store::json::read;
    use crate::sops::tree::Comment;
    use zeroize::Zeroizing;

    fn value(scalar: Scalar) -> String {
        print_node(&Node::Scalar(scalar)).unwrap().expose_text().unwrap().to_owned()
    }

    #[test]
    fn prints_with_tabs_and_a_closing_newline() {
        let map = read(br#"{"a":{"b":[1,2.50,{"c":true}],"d":{},"e":[]},"f":null}"#).unwrap();
        let expected = "{\n\t\"a\": {\n\t\t\"b\": [\n\t\t\t1,\n\t\t\t2.5,\n\t\t\t{\n\t\t\t\t\"c\": true\n\t\t\t}\n\t\t],\n\
            \t\t\"d\": {},\n\t\t\"e\": []\n\t},\n\t\"f\": null\n}\n";
        assert_eq!(print(&map).unwrap().expose_text().unwrap(), expected);
        assert_eq!(print(&Map::default()).unwrap().expose(), b"{}\n");
        assert_eq!(print_node(&Node::Map(map)).unwrap().expose_text().unwrap(), expected.trim_end());
    }

    #[test]
    fn escapes_as_go_does() {
        let text = "\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}<>&\u{2028}\u{2029}é😀/'";
        let expected = r#""\"\\\b\f\n\r\t\u0001"#.to_owned() + "\u{7f}" + r#"\u003c\u003e\u0026\u2028\u2029é😀/'""#;
        assert_eq!(value(Scalar::Str(text.into())), expected);
        let broken = vec![b'a', 0xff, 0xe2, 0x82, b'b', 0xf0, 0x9f, 0x98];
        assert_eq!(value(Scalar::Str(broken.into())), r#""a\ufffd\ufffd\ufffdb\ufffd\ufffd\ufffd""#);
    }

    #[test]
    fn prints_times_and_floats() {
        let time = Scalar::Time(Zeroizing::new("2020-01-02T03:04:05.5+01:00".to_owned()));
        assert_eq!(value(time), r#""2020-01-02T03:04:05.5+01:00""#);
        assert_eq!(value(Scalar::Float(Zeroizing::new(1e-7))), "1e-7");
    }

    #[test]
    fn leaves_comments_out() {
        let note = || Comment { text: "note".into(), inline: false };
        let map = Map(vec![MapItem::Comment(note())]);
        assert_eq!(print(&map).unwrap().expose(), b"{}\n");
        let value = ListItem::Value(Node::Scalar(Scalar::Null));
        let list = Node::List(List(vec![ListItem::Comment(note()), value, ListItem::Comment(note())]));
        assert_eq!(print_node(&list).unwrap().expose(), b"[\n\tnull\n]");
    }

    #[test]
    fn refuses_what_json_cannot_hold() {
        let mut map = read(br#"{"a": {"b": [0, 1]}}"#).unwrap();
        let Some(MapItem::Entry(a)) = map.0.first_mut() else { panic!("no a") };
        let nan = Node::Scalar(Scalar::Float(Zeroizing::new(f64::NAN)));
        a.value = Node::List(List(vec![ListItem::Value(Node::Scalar(Scalar::Null)), ListItem::Value(nan)]));
        assert_eq!(print(&map).err().unwrap().key, "a/1");
    }
}
