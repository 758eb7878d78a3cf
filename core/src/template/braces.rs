//! The placeholders of the form for people: `{{ db/password }}`, `{{ db/password | json }}`.

use super::{Bad, Piece, Reference, Secrets, line_of};
use crate::escape::Escape;
use crate::manifest::name::Name;

/// What stands for two braces that are meant as such, in braces itself.
const LITERAL: &str = "\"{{\"";

/// Takes a template apart.
pub(super) fn pieces<'t>(template: &'t [u8], secrets: &Secrets<'t>) -> Result<Vec<Piece<'t>>, Bad> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while let Some(start) = find(template, done, b"{{") {
        pieces.push(Piece::Text(template.get(done..start).unwrap_or_default()));
        let bad = |why: &str, help: &str| Bad { line: line_of(template, start), why: why.into(), help: help.into() };
        let end = find(template, start + 2, b"}}").unwrap_or(template.len());
        let inside = template.get(start + 2..end).unwrap_or_default();
        if end == template.len() || inside.contains(&b'\n') {
            let help = format!("close it, or write {{{{ {LITERAL} }}}} for two braces");
            return Err(bad("`{{` has no `}}` on its line", &help));
        }
        let inside = std::str::from_utf8(inside).map_err(|_| bad("a placeholder is not UTF-8", "name a secret"))?;
        done = end + 2;
        match inside.trim() {
            LITERAL => pieces.push(Piece::Text(b"{{")),
            "" => return Err(bad("a placeholder is empty", "name a secret: `{{ db/password }}`")),
            inside => pieces.push(Piece::Secret(reference(template, start, inside, secrets)?)),
        }
    }
    pieces.push(Piece::Text(template.get(done..).unwrap_or_default()));
    Ok(pieces)
}

/// The whole text may be a name; otherwise what stands behind the last `|` is an escape.
fn reference<'t>(template: &[u8], offset: usize, inside: &str, secrets: &Secrets<'t>) -> Result<Reference<'t>, Bad> {
    let of = |secret: &'t Name, escape| Reference { secret, escape, in_quotes: false, offset };
    if let Some(secret) = secrets.get(inside) {
        return Ok(of(secret, None));
    }
    let Some((name, escape)) = inside.rsplit_once('|') else {
        return Err(secrets.missing(template, offset, inside));
    };
    let (name, escape) = (name.trim(), escape.trim());
    if name.contains('|') && secrets.get(name).is_none() {
        let why = format!("`{name} | {escape}` has more than one escape");
        return Err(Bad { line: line_of(template, offset), why, help: "use one".into() });
    }
    let Some(secret) = secrets.get(name) else { return Err(secrets.missing(template, offset, name)) };
    let Some(escape) = Escape::from_name(escape) else {
        let known = Escape::ALL.map(Escape::name);
        let help = match crate::error::nearest(escape, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        return Err(Bad { line: line_of(template, offset), why: format!("the escape `{escape}` is not known"), help });
    };
    Ok(of(secret, Some(escape)))
}

fn find(template: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    let rest = template.get(from..)?;
    rest.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use crate::manifest::Placeholders;
    use crate::manifest::name::Name;
    use crate::secret::SecretBytes;
    use crate::template::Reader;
    use std::collections::BTreeMap;

    fn render(template: &[u8]) -> Result<Vec<u8>, String> {
        let names = ["db/password", "b", "a | json"].map(|name| Name::new(name).unwrap());
        let values = [SecretBytes::from("p\"{{ b }}"), SecretBytes::new(vec![0, 255]), SecretBytes::from("odd")];
        let contents: BTreeMap<_, _> = names.iter().zip(&values).collect();
        let reader = Reader::new(&Placeholders::Braces, names.iter()).unwrap();
        let say = |bad: crate::template::Bad| format!("{}: {}; {}", bad.line, bad.why, bad.help);
        let parsed = reader.parse(template).map_err(say)?;
        parsed.render(template, &contents).map(|bytes| bytes.expose().to_vec()).map_err(say)
    }

    #[test]
    fn a_name_stands_for_its_secret_once() {
        assert_eq!(render(b"x={{ db/password }};{{b}}\xfe\n").unwrap(), b"x=p\"{{ b }};\0\xff\xfe\n");
        assert_eq!(render(b"{{ a | json }}").unwrap(), b"odd");
        assert_eq!(render(b"{ { b } } }}").unwrap(), b"{ { b } } }}");
        assert_eq!(render(b"{{ \"{{\" }} b }}").unwrap(), b"{{ b }}");
    }

    #[test]
    fn an_escape_fits_the_place() {
        assert_eq!(render(b"{\"p\": {{ db/password | json }}}").unwrap(), b"{\"p\": \"p\\\"{{ b }}\"}");
        assert_eq!(
            render(b"{\"p\": \"u:{{db/password|json}}@\\\"{{db/password|json}}\"}").unwrap(),
            b"{\"p\": \"u:p\\\"{{ b }}@\\\"p\\\"{{ b }}\"}"
        );
        assert_eq!(render(b"{{ b | base64 }}").unwrap(), b"AP8=");
        assert_eq!(
            render(b"\n{{ b | json }}").unwrap_err(),
            "2: the secret `b` is not UTF-8, which `json` cannot hold; use `base64`, which takes any bytes, or no escape"
        );
    }

    #[test]
    fn a_slip_is_an_error_with_its_line() {
        assert_eq!(
            render(b"a\n{{ db/pasword }}").unwrap_err(),
            "2: `db/pasword` is no secret of this manifest; did you mean `db/password`?"
        );
        assert_eq!(render(b"{{ b | jsn }}").unwrap_err(), "1: the escape `jsn` is not known; did you mean `json`?");
        assert_eq!(
            render(b"{{ b\n}}").unwrap_err(),
            "1: `{{` has no `}}` on its line; close it, or write {{ \"{{\" }} for two braces"
        );
        assert!(render(b"{{ }}").unwrap_err().starts_with("1: a placeholder is empty"));
        assert!(render(b"{{ \xff }}").unwrap_err().starts_with("1: a placeholder is not UTF-8"));
    }

    #[test]
    fn templates_may_be_so_large_together_and_no_larger() {
        let name = Name::new("a").unwrap();
        let reader = Reader::new(&Placeholders::Braces, std::iter::once(&name)).unwrap();
        let template = "{{a}}".repeat(32);
        let render = |bytes: usize| {
            let value = SecretBytes::new(vec![b'x'; bytes]);
            let parsed = reader.parse(template.as_bytes()).unwrap();
            parsed.render(template.as_bytes(), &BTreeMap::from([(&name, &value)]))
        };
        let bad = render(1_048_577).err().unwrap();
        assert_eq!(bad.why, "the templates of this manifest are larger than 32 MiB together here");
        assert_eq!(render(1_048_576).unwrap().len(), crate::template::MOST_RENDERED);
        assert!(render(1).is_err(), "there is nothing left");
    }
}
