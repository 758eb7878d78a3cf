//! The pages that name tests for what is promised.

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every function and every text of an error in the suite, as `module::name`.
fn names() -> BTreeSet<String> {
    fn add(directory: &Path, names: &mut BTreeSet<String>) {
        let named = Regex::new(r"(?-u)(?:\bfn |says!\(\s*)(\w+)").unwrap();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let module = if path.ends_with("mod.rs") { directory } else { path.as_path() };
            let module = module.file_stem().unwrap().to_str().unwrap();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("rs") => {
                    let text = fs::read_to_string(&path).unwrap();
                    names.extend(named.captures_iter(&text).map(|found| format!("{module}::{}", &found[1])));
                }
                _ if path.is_dir() => add(&path, names),
                _ => {}
            }
        }
    }
    let mut names = BTreeSet::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite"), &mut names);
    names
}

#[test]
fn the_tests_that_pages_name_exist() {
    let names = names();
    for page in ["SECURITY.md", "docs/weaknesses.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        assert!(named.len() > 20, "{page} names {named:?}");
        let missing: Vec<&str> = named.into_iter().filter(|name| !names.contains(*name)).collect();
        assert!(missing.is_empty(), "{page} names what is not there: {missing:?}");
    }
}
