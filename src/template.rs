//! Templates: text in which placeholders stand for secrets.

use crate::manifest::Placeholders;
use crate::manifest::name::Name;
use crate::secret::SecretBytes;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::BTreeMap;

/// Replaces placeholders. It is made once for all templates of a manifest.
pub struct Renderer<'a> {
    search: AhoCorasick,
    names: Vec<&'a Name>,
}

/// A placeholder for which there is nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfilled {
    /// The secret it stands for.
    pub secret: Name,
    /// The line of the template, counted from 1.
    pub line: usize,
}

impl<'a> Renderer<'a> {
    /// Prepares the search for all placeholders at once. The error says why that is impossible.
    pub fn new(placeholders: &'a Placeholders) -> Result<Self, String> {
        // The automaton that the crate would choose is made in time that is quadratic in a long placeholder.
        let search = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::LeftmostLongest)
            .build(placeholders.keys())
            .map_err(|why| format!("the placeholders cannot be searched for: {why}"))?;
        Ok(Self { search, names: placeholders.values().collect() })
    }

    /// Renders one template in a single pass: what a secret brings in is never looked at again.
    pub fn render(&self, template: &[u8], contents: &BTreeMap<&Name, &SecretBytes>) -> Result<SecretBytes, Unfilled> {
        let mut rendered = SecretBytes::with_capacity(template.len() * 2);
        let mut done = 0;
        for found in self.search.find_iter(template) {
            rendered.push(template.get(done..found.start()).unwrap_or_default());
            done = found.end();
            let Some(name) = self.names.get(found.pattern().as_usize()) else { continue };
            let Some(content) = contents.get(*name) else {
                let above = template.get(..found.start()).unwrap_or_default();
                let line = above.iter().filter(|byte| **byte == b'\n').count() + 1;
                return Err(Unfilled { secret: (*name).clone(), line });
            };
            rendered.push(content.expose());
        }
        rendered.push(template.get(done..).unwrap_or_default());
        Ok(rendered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &[u8]) -> Result<Vec<u8>, Unfilled> {
        let name = |text| Name::new(text).unwrap();
        let placeholders =
            Placeholders::from([("<A>".into(), name("a")), ("<B>".into(), name("b")), ("<GONE>".into(), name("gone"))]);
        let (a, b) = (name("a"), name("b"));
        let (a_is, b_is) = (SecretBytes::from("holds <B>"), SecretBytes::new(vec![0, 255]));
        let contents = BTreeMap::from([(&a, &a_is), (&b, &b_is)]);
        Renderer::new(&placeholders).unwrap().render(template, &contents).map(|bytes| bytes.expose().to_vec())
    }

    #[test]
    fn what_a_secret_brings_in_is_not_expanded_again() {
        assert_eq!(render(b"x=<A>;y=<B>\n"), Ok(b"x=holds <B>;y=\0\xff\n".to_vec()));
        assert_eq!(render(b"<A><A>"), Ok(b"holds <B>holds <B>".to_vec()));
        assert_eq!(render(b"nothing < A>"), Ok(b"nothing < A>".to_vec()));
    }

    #[test]
    fn a_long_placeholder_takes_no_long_time() {
        let start = std::time::Instant::now();
        let placeholders = Placeholders::from([("-20-01".repeat(20_000), Name::new("a").unwrap())]);
        assert!(Renderer::new(&placeholders).is_ok());
        assert!(start.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_placeholder_without_a_secret_is_never_written_out() {
        let secret = Name::new("gone").unwrap();
        assert_eq!(render(b"a\nb <GONE>"), Err(Unfilled { secret, line: 2 }));
    }
}
