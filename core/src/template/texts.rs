//! The placeholders of sops-nix's form: texts that its modules make up, such as `<SOPS:…:PLACEHOLDER>`.

use super::{Bad, Piece, Reference, Secrets, line_of};
use crate::manifest::Placeholder;
use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::noncontiguous::NFA;
use aho_corasick::{Input, MatchKind};
use std::collections::BTreeMap;

/// What sops-nix's placeholders begin and end with; a hash in hexadecimal stands between.
const BEGIN: &str = "<SOPS:";
const END: &[u8] = b":PLACEHOLDER>";

/// All placeholders of a manifest, searched for at once.
pub(super) struct Texts<'a> {
    search: Box<NFA>,
    meanings: Vec<&'a Placeholder>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(texts: &'a BTreeMap<String, Placeholder>) -> Result<Self, String> {
        // The automaton that the crate would choose is made in time that is quadratic in a long placeholder; the one that is
        // faster than this takes a third more memory while it is made. By its own name, the others are not part of the program.
        let search = NFA::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts.keys().map(String::as_str).chain([BEGIN]))
            .map_err(|why| format!("the placeholders cannot be searched for: {why}"))?;
        Ok(Self { search: Box::new(search), meanings: texts.values().collect() })
    }

    /// Takes a template apart.
    pub(super) fn pieces<'t>(&'t self, template: &'t [u8], secrets: &Secrets<'t>) -> Result<Vec<Piece<'t>>, Bad> {
        let mut pieces = Vec::new();
        let mut done = 0;
        // It fails only for kinds of searches that this automaton was not made for.
        let all = self.search.try_find_iter(Input::new(template)).map_err(|why| Bad {
            line: line_of(template, 0),
            why: format!("the placeholders cannot be searched for: {why}"),
            help: "report this as a bug".into(),
        })?;
        for found in all {
            let Some(meaning) = self.meanings.get(found.pattern().as_usize()) else {
                if is_placeholder(template.get(found.end()..).unwrap_or_default()) {
                    return Err(Bad {
                        line: line_of(template, found.start()),
                        why: "a placeholder stands for no secret of this manifest".into(),
                        help: "a template can use only secrets that are installed with it".into(),
                    });
                }
                continue;
            };
            let name = meaning.secret.as_str();
            let Some(secret) = secrets.get(name) else {
                return Err(secrets.missing(template, found.start(), name));
            };
            pieces.push(Piece::Text(template.get(done..found.start()).unwrap_or_default()));
            let offset = found.start();
            pieces.push(Piece::Secret(Reference { secret, escape: meaning.escape, in_quotes: false, offset }));
            done = found.end();
        }
        pieces.push(Piece::Text(template.get(done..).unwrap_or_default()));
        Ok(pieces)
    }
}

/// Whether the rest of a placeholder follows [`BEGIN`].
fn is_placeholder(rest: &[u8]) -> bool {
    // SHA-256 in hexadecimal.
    const LONGEST: usize = 64;
    let hash = rest.iter().take(LONGEST).take_while(|byte| byte.is_ascii_hexdigit()).count();
    hash > 0 && rest.get(hash..).is_some_and(|rest| rest.starts_with(END))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::Escape;
    use crate::manifest::Placeholders;
    use crate::manifest::name::Name;
    use crate::secret::SecretBytes;
    use crate::template::Reader;

    fn render(template: &[u8]) -> Result<Vec<u8>, String> {
        let name = |text| Name::new(text).unwrap();
        let stands = |text: &str, secret, escape| (text.to_owned(), Placeholder { secret: name(secret), escape });
        let placeholders = Placeholders::Texts(BTreeMap::from([
            stands("<A>", "a", None),
            stands("<A|json>", "a", Some(Escape::Json)),
            stands("<B>", "b", None),
            stands("<SOPS:ab12:PLACEHOLDER>", "b", None),
            stands("<GONE>", "gone", None),
        ]));
        let (a, b) = (name("a"), name("b"));
        let (a_is, b_is) = (SecretBytes::from("holds <B>"), SecretBytes::new(vec![0, 255]));
        let contents = BTreeMap::from([(&a, &a_is), (&b, &b_is)]);
        let reader = Reader::new(&placeholders, [&a, &b].into_iter()).unwrap();
        let say = |bad: Bad| format!("{}: {}", bad.line, bad.why);
        let parsed = reader.parse(template).map_err(say)?;
        parsed.render(template, &contents).map(|bytes| bytes.expose().to_vec()).map_err(say)
    }

    #[test]
    fn what_a_secret_brings_in_is_not_expanded_again() {
        assert_eq!(render(b"x=<A>;y=<B>\n").unwrap(), b"x=holds <B>;y=\0\xff\n");
        assert_eq!(render(b"<A><A>").unwrap(), b"holds <B>holds <B>");
        assert_eq!(
            render(b"{\"a\": \"<A|json>\", \"b\": <A|json>}").unwrap(),
            b"{\"a\": \"holds <B>\", \"b\": \"holds <B>\"}"
        );
        assert_eq!(render(b"nothing < A>").unwrap(), b"nothing < A>");
    }

    #[test]
    fn a_placeholder_without_a_secret_is_never_written_out() {
        assert_eq!(render(b"a\nb <GONE>").unwrap_err(), "2: `gone` is no secret of this manifest");
        assert_eq!(
            render(b"\n<SOPS:ab13:PLACEHOLDER>").unwrap_err(),
            "2: a placeholder stands for no secret of this manifest"
        );
        assert_eq!(render(b"<SOPS:ab12:PLACEHOLDER>").unwrap(), b"\0\xff");
        assert_eq!(render(b"<SOPS:> <SOPS:ab:PLACE>").unwrap(), b"<SOPS:> <SOPS:ab:PLACE>");
    }

    #[test]
    fn a_long_placeholder_takes_no_long_time() {
        let start = std::time::Instant::now();
        let meaning = Placeholder { secret: Name::new("a").unwrap(), escape: None };
        assert!(Texts::new(&BTreeMap::from([("-20-01".repeat(20_000), meaning)])).is_ok());
        assert!(start.elapsed().as_secs() < 5);
    }
}
