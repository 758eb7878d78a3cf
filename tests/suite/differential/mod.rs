//! Files that nobody thought of: made at random, encrypted by the real sops, and read by both.
//!
//! `SOPS_INSTALL_DIFFERENTIAL=10000` sets how many files are compared; see [`DEFAULT_CASES`]. A difference is shrunk to
//! the smallest file that shows it. What was found once stands in `tests/fixtures/plain/found-*`.

mod compare;
mod json;
mod lines;
mod rule;
mod text;
mod yaml;
mod yaml_text;

use crate::common::{Sandbox, has, say, skip};
use compare::{Outcome, Tally, compare};
use proptest::strategy::{BoxedStrategy, Strategy};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use rule::Encryption;
use sops_install::sops::format::Format;
use std::fmt;

/// How many files are compared where nothing else is asked for.
const DEFAULT_CASES: u32 = 300;

/// One file and how it is encrypted.
#[derive(Clone)]
struct Case {
    format: Format,
    plain: Vec<u8>,
    encryption: Encryption,
    /// Picks the values that are extracted.
    picks: [usize; 2],
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.plain.escape_ascii();
        let text = String::from_utf8_lossy(&self.plain);
        write!(f, "{}\nrules: {:?}\nescaped: {escaped}\n----\n{text}\n----", self.format.name(), self.encryption)
    }
}

#[test]
fn yaml_files_read_as_sops_reads_them() {
    run(Format::Yaml, 50, yaml::file());
}

#[test]
fn json_files_read_as_sops_reads_them() {
    run(Format::Json, 15, json::file());
}

#[test]
fn ini_files_read_as_sops_reads_them() {
    run(Format::Ini, 15, lines::ini());
}

#[test]
fn dotenv_files_read_as_sops_reads_them() {
    run(Format::Dotenv, 12, lines::dotenv());
}

#[test]
fn binary_files_read_as_sops_reads_them() {
    run(Format::Binary, 8, text::bytes());
}

/// Compares `share` percent of all cases.
fn run(format: Format, share: u32, plain: BoxedStrategy<Vec<u8>>) {
    if !has("sops") {
        return skip(&format!("differential: {} files", format.name()), "sops");
    }
    let all = match std::env::var("SOPS_INSTALL_DIFFERENTIAL") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => DEFAULT_CASES,
    };
    let cases = (all * share).div_ceil(100);
    let case = (plain, rule::encryption(), proptest::array::uniform2(0usize..1000))
        .prop_map(move |(plain, encryption, picks)| Case { format, plain, encryption, picks });
    let sandbox = Sandbox::new();
    let tally = Tally::default();
    // At most every second file may be such that sops itself refuses it.
    let config = Config {
        cases,
        max_global_rejects: cases + 10,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&case, |case| match compare(&sandbox, &case, &tally) {
        Outcome::Same => Ok(()),
        Outcome::NotCounted => Err(TestCaseError::reject("sops does not take it")),
        Outcome::Different(how) => Err(TestCaseError::fail(how)),
    });
    say(&format!("COMPARED with sops: {} files, {tally}", format.name()));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(how, case)) => panic!("{how}\nwith {case:?}"),
        Err(TestError::Abort(why)) => panic!("too many files that sops refuses: {why}"),
    }
}
