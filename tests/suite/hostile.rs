//! A megabyte of what is worst for a reader: read or refused, in bounded time, on the stack that a thread has.

use sops_install::manifest::{self, Surroundings};
use sops_install::sops::EncryptedFile;
use sops_install::sops::format::Format;
use sops_install::sops::key::{Finder, KeyPath};
use sops_install::sops::store::yaml;
use std::path::Path;
use std::time::{Duration, Instant};

const MEGABYTE: usize = 1 << 20;

/// What each input may take at most in each reader. A build without optimisation on a busy machine takes about a
/// second.
const LIMIT: Duration = Duration::from_secs(20);

/// `part` again and again, a megabyte of it.
fn repeated(part: &str) -> String {
    part.repeat(MEGABYTE / part.len())
}

/// 100,000 lines, made of their numbers.
fn numbered(line: impl Fn(usize) -> String) -> String {
    (0..100_000).map(line).collect()
}

/// Names and texts.
fn inputs() -> Vec<(&'static str, String)> {
    let block: String = (0..1400).map(|level| " ".repeat(level) + "a:\n").collect();
    let bomb: String = (0..30)
        .map(|level| match level {
            0 => "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned(),
            _ => format!("a{level}: &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(8)),
        })
        .collect();
    let shell = |middle: String| format!("{{\"a\": {middle}}}");
    vec![
        ("deep flow lists", repeated("[")),
        ("deep flow maps", repeated("{a: ")),
        ("deep JSON", repeated("{\"a\":")),
        ("deep JSON lists that close", shell("[".repeat(MEGABYTE / 2) + &"]".repeat(MEGABYTE / 2))),
        ("deep block maps", block),
        ("deep block lists", repeated("- ")),
        ("deep explicit keys", repeated("? ")),
        ("an alias bomb", bomb),
        ("an alias of a megabyte", format!("a: &a '{}'\nb: [{}]\n", repeated("x"), "*a, ".repeat(10_000))),
        ("an alias within itself", "a: &a [*a, *a]\n".to_owned()),
        ("anchors", repeated("&a ")),
        ("tags", repeated("!a ")),
        ("a line of one value", "a: ".to_owned() + &repeated("x")),
        ("a line of one key", repeated("x") + "=1\n"),
        ("a line of one section", format!("[{}]\n", repeated("x"))),
        ("a line of one quoted value", format!("a: \"{}\"\n", repeated("\\n"))),
        ("a line of one JSON value", shell(format!("\"{}\"", repeated("\\u0041")))),
        ("a line of one number", shell(repeated("1"))),
        ("a line of one number of YAML", format!("a: {}\n", repeated("1_"))),
        ("a quote that never closes", "a = `".to_owned() + &repeated("x\n")),
        ("a line that goes on", "a = ".to_owned() + &repeated("x \\\n")),
        ("a megabyte of comments", repeated("# c\n") + "a: 1\n"),
        ("comments in a list", "a:\n".to_owned() + &repeated("- x # c\n# d\n")),
        ("empty lines", repeated("\n") + "a: 1\n"),
        ("spaces", repeated(" ") + "a: 1\n"),
        ("documents", repeated("---\na: 1\n")),
        ("directives", repeated("%TAG ! !\n")),
        ("keys of YAML", numbered(|number| format!("k{number}: v\n"))),
        ("keys of JSON", format!("{{{}\"z\": 1}}", numbered(|number| format!("\"k{number}\":1,")))),
        ("keys of lines", "a=1\n".to_owned() + &numbered(|number| format!("k{number}=v\n"))),
        ("sections", numbered(|number| format!("[s{number}]\n"))),
        ("one section again and again", repeated("[a]\nb = 1\n")),
        ("the same key", repeated("a=1\n")),
        ("the same key of YAML", repeated("a: 1\n")),
        ("metadata that is deep", format!("sops{}=1\n", repeated("__map_a"))),
        ("metadata that is long", numbered(|number| format!("sops_age__list_{number}__map_enc=x\n"))),
        ("a list of metadata with a large position", "sops_age__list_99999999999__map_enc=x\nsops_mac=x\n".to_owned()),
        ("encrypted values that are cut off", repeated("a: ENC[AES256_GCM,data:\n")),
    ]
}

/// Runs `job` on a thread with the stack that threads have, and says how long it took.
fn timed(job: impl FnOnce() + Send) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(2 << 20).spawn_scoped(scope, job).unwrap().join().unwrap()
    });
    start.elapsed()
}

#[test]
fn a_hostile_file_takes_no_long_time_in_any_format() {
    for (name, text) in &inputs() {
        for format in Format::ALL {
            let time = timed(|| drop(EncryptedFile::read(text.as_bytes(), format)));
            assert!(time < LIMIT, "{name} as {} took {time:?}", format.name());
        }
    }
}

#[test]
fn a_hostile_manifest_takes_no_long_time() {
    for (name, text) in &inputs() {
        for file in ["a.yaml", "a.json"] {
            let time = timed(|| drop(manifest::parse(text, Path::new(file), &Surroundings::default())));
            assert!(time < LIMIT, "{name} as {file} took {time:?}");
        }
    }
}

#[test]
fn what_is_within_the_limits_is_printed_in_time() {
    let within = [
        (0..70_000).map(|number| format!("k{number}: v\n")).collect(),
        "a:\n".to_owned() + &"- x # c\n".repeat(70_000),
        "a: \"".to_owned() + &repeated("\\n") + "\"\n",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: [".to_owned() + &"*a, ".repeat(900) + "]\n",
        (0..200).map(|level| " ".repeat(level) + "a:\n").collect(),
    ];
    for text in &within {
        let time = timed(|| {
            let documents = yaml::read(text.as_bytes()).map_err(|error| error.why).unwrap();
            assert!(yaml::print(&[&documents[0]]).is_ok());
        });
        assert!(time < LIMIT, "{:?} took {time:?}", text.get(..20));
    }
}

#[test]
fn a_hostile_key_takes_no_long_time() {
    let text: String = (0..30_000).map(|number| format!("k{number}: {{a: 1}}\n")).collect();
    let documents = yaml::read(text.as_bytes()).ok().unwrap();
    for key in [repeated("k1/"), repeated("/"), repeated("x"), repeated("\\/"), format!("k1/a/{}", repeated("a/"))] {
        let time = timed(|| {
            let (key, finder) = (KeyPath::new(&key), Finder::new(&documents[0]));
            let miss = finder.find(&key).err().unwrap();
            drop(finder.help(&key, &miss));
        });
        assert!(time < LIMIT, "{:?} took {time:?}", key.get(..10));
    }
}
