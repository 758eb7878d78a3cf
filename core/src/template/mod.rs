//! Templates: text in which secrets are named.
//!
//! A template is taken apart once, then put together in one pass: what a secret brings in is never looked at again. Its
//! text may be any bytes.

mod braces;
mod texts;

use crate::error::Error;
use crate::escape::Escape;
use crate::manifest::name::Name;
use crate::manifest::{Manifest, Placeholders, TemplateText};
use crate::secret::SecretBytes;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use texts::Texts;

/// Takes templates apart. It is made once for all templates of a manifest.
pub struct Reader<'a> {
    syntax: Syntax<'a>,
    secrets: Secrets<'a>,
    /// How many more bytes may be rendered.
    left: Cell<usize>,
}

/// How large the templates of a manifest may be together once they are rendered. A template that names a large secret again
/// and again would otherwise fill the memory.
pub const MOST_RENDERED: usize = 32 << 20;

/// The secrets that templates may name.
struct Secrets<'a> {
    by_name: BTreeMap<&'a str, &'a Name>,
    /// How many suggestions are still made: each is looked for among all names.
    suggestions: Cell<usize>,
}

impl<'a> Secrets<'a> {
    fn get(&self, name: &str) -> Option<&'a Name> {
        self.by_name.get(name).copied()
    }

    /// A place that names none of them.
    fn missing(&self, template: &[u8], offset: usize, name: &str) -> Bad {
        let left = self.suggestions.get();
        self.suggestions.set(left.saturating_sub(1));
        let meant = if left > 0 { crate::error::nearest(name, self.by_name.keys().copied()) } else { None };
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "a template can use only secrets that are installed with it".to_owned(),
        };
        Bad { line: line_of(template, offset), why: format!("`{name}` is no secret of this manifest"), help }
    }
}

enum Syntax<'a> {
    Braces,
    Texts(Texts<'a>),
}

/// A template that was taken apart.
pub struct Parsed<'t> {
    pieces: Vec<Piece<'t>>,
    left: &'t Cell<usize>,
}

enum Piece<'t> {
    Text(&'t [u8]),
    Secret(Reference<'t>),
}

/// A place where a secret is to stand.
struct Reference<'t> {
    secret: &'t Name,
    escape: Option<Escape>,
    /// Whether a JSON string is open at this place.
    in_quotes: bool,
    /// Where it stands, for errors.
    offset: usize,
}

/// The text of a template.
///
/// # Errors
/// It stands in a file that cannot be read.
pub fn text(text: &TemplateText, read: &dyn Fn(&Path) -> io::Result<SecretBytes>) -> Result<SecretBytes, Error> {
    match text {
        TemplateText::Inline(text) => Ok(SecretBytes::from(text.as_str())),
        TemplateText::File(path) => read(path).map_err(|error| {
            let error = Error::new(format!("cannot read {}", path.display())).because(error).in_file(path);
            error.help("check the path of the `file`")
        }),
    }
}

/// What is wrong at one place of a template.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
    /// What to try.
    pub help: String,
}

impl Bad {
    /// The error, with the place in the template.
    pub fn within(self, text: &TemplateText) -> Error {
        let error = match text {
            TemplateText::Inline(_) => Error::new(format!("line {}: {}", self.line, self.why)),
            TemplateText::File(path) => {
                Error::new(format!("{}, line {}: {}", path.display(), self.line, self.why)).in_file(path)
            }
        };
        error.at_line(self.line).help(self.help)
    }
}

impl<'a> Reader<'a> {
    /// Prepares for the templates of a manifest.
    ///
    /// # Errors
    /// Its placeholders are too many to be looked for.
    pub fn of(manifest: &'a Manifest) -> Result<Self, Error> {
        Self::new(&manifest.placeholders, manifest.secrets.iter().map(|secret| &secret.name))
            .map_err(|why| Error::new(why).help("give fewer or shorter placeholders"))
    }

    /// Prepares for a manifest with these placeholders and `secrets`. The error says why that is impossible.
    pub fn new(placeholders: &'a Placeholders, secrets: impl Iterator<Item = &'a Name>) -> Result<Self, String> {
        let syntax = match placeholders {
            Placeholders::Braces => Syntax::Braces,
            Placeholders::Texts(texts) => Syntax::Texts(Texts::new(texts)?),
        };
        const SUGGESTIONS: usize = 20;
        let by_name = secrets.map(|name| (name.as_str(), name)).collect();
        Ok(Self {
            syntax,
            secrets: Secrets { by_name, suggestions: Cell::new(SUGGESTIONS) },
            left: Cell::new(MOST_RENDERED),
        })
    }

    /// Takes a template apart.
    ///
    /// # Errors
    /// The first place that names something other than a secret of the manifest.
    pub fn parse<'t>(&'t self, template: &'t [u8]) -> Result<Parsed<'t>, Bad> {
        let mut pieces = match &self.syntax {
            Syntax::Braces => braces::pieces(template, &self.secrets)?,
            Syntax::Texts(texts) => texts.pieces(template, &self.secrets)?,
        };
        mark_quotes(&mut pieces);
        Ok(Parsed { pieces, left: &self.left })
    }
}

impl Parsed<'_> {
    /// Puts `template`, which is what was taken apart, together with what the secrets hold.
    ///
    /// # Errors
    /// The first place for which there is nothing, or whose secret cannot be written as it asks.
    pub fn render(&self, template: &[u8], contents: &BTreeMap<&Name, &SecretBytes>) -> Result<SecretBytes, Bad> {
        let mut rendered = SecretBytes::with_capacity(template.len() * 2);
        let too_large = |offset: usize| Bad {
            line: line_of(template, offset),
            why: format!("the templates of this manifest are larger than {} MiB together here", MOST_RENDERED >> 20),
            help: "install what is large as a file of its own, and name that file in the template".to_owned(),
        };
        for piece in &self.pieces {
            let Reference { secret, escape, in_quotes, offset } = match piece {
                Piece::Text(text) => {
                    rendered.push(text);
                    continue;
                }
                Piece::Secret(reference) => reference,
            };
            let bad = |why: String, help: &str| Bad { line: line_of(template, *offset), why, help: help.to_owned() };
            let Some(content) = contents.get(secret) else {
                return Err(bad(format!("the secret `{secret}` failed"), "see the error of that secret"));
            };
            if rendered.len() + content.len() > self.left.get() {
                return Err(too_large(*offset));
            }
            match escape {
                None => rendered.push(content.expose()),
                Some(escape) => escape.write(content.expose(), *in_quotes, &mut rendered).map_err(|why| {
                    let why = format!("the secret `{secret}` {why}, which `{}` cannot hold", escape.name());
                    bad(why, "use `base64`, which takes any bytes, or no escape")
                })?,
            }
        }
        match self.left.get().checked_sub(rendered.len()) {
            Some(left) => self.left.set(left),
            None => return Err(too_large(template.len())),
        }
        Ok(rendered)
    }
}

/// Notes for each place whether a JSON string is open there. Such a string ends on its line.
fn mark_quotes(pieces: &mut [Piece<'_>]) {
    let mut open = false;
    for piece in pieces {
        match piece {
            Piece::Secret(reference) => reference.in_quotes = open,
            Piece::Text(text) => {
                let mut bytes = text.iter();
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\n' => open = false,
                        b'"' => open = !open,
                        b'\\' if open => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

fn line_of(template: &[u8], offset: usize) -> usize {
    template.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
