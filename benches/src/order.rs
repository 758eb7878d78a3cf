//! Which functions lie at the beginning of a program: those that a short run uses, as a linker script. `order/run` calls it.
//!
//! Arguments, in pairs, one for each build: a file with what `nm -S` says of the program, and one with the names of the functions that
//! ran, a line each. The script goes to standard output.
//!
//! What changes in a name with the compiler is left open. Where nearly all functions that begin alike ran, their common beginning and
//! a star stand for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::io;

/// A line of the script is worth so many bytes of functions that did not run.
const LINE: u64 = 600;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut functions, mut ran) = (BTreeMap::<String, u64>::new(), BTreeSet::new());
    for pair in arguments.chunks(2) {
        let [symbols, names] = pair else { return Err(io::Error::other("usage: bench-order (SYMBOLS NAMES)…")) };
        let names = read_to_string(names)?;
        let names: BTreeSet<&str> = names.lines().collect();
        let mut sizes = BTreeMap::<String, u64>::new();
        for (size, alike) in at_each_address(&read_to_string(symbols)?) {
            if alike.iter().any(|name| names.contains(name.as_str())) {
                ran.extend(alike.iter().map(|name| pattern(name)));
            }
            for name in alike {
                *sizes.entry(pattern(&name)).or_default() += size;
            }
        }
        for (name, size) in sizes {
            let known = functions.entry(name).or_default();
            *known = size.max(*known);
        }
    }
    let functions: Vec<Function> =
        functions.into_iter().map(|(name, size)| Function { ran: ran.contains(&name), name, size }).collect();
    if !functions.iter().any(|function| function.ran) {
        return Err(io::Error::other("none of the functions ran: are these the names as the linker knows them?"));
    }
    println!("/* Written by benches/order/run: the functions that a run with few secrets uses. */");
    println!("SECTIONS {{\n  .text.first : {{");
    // These have no name of Rust's.
    println!("    *(.text.main .text.memcpy .text.memmove)");
    // What is said to be cold has another name, and runs all the same: to make a buffer longer, for one.
    cover(&functions, 0).1.iter().for_each(|line| println!("    *(.text.{line} .text.unlikely.{line})"));
    println!("  }}\n}} INSERT BEFORE .text;");
    Ok(())
}

struct Function {
    name: String,
    size: u64,
    ran: bool,
}

/// The functions of a program that have a name of Rust's, by their address: how many bytes they take, and their names. Those that
/// came out alike are one function, and whoever watches it run knows one of the names.
fn at_each_address(symbols: &str) -> Vec<(u64, Vec<String>)> {
    let mut functions = BTreeMap::<&str, (u64, Vec<String>)>::new();
    for symbol in symbols.lines() {
        let [address, size, "t" | "T" | "w" | "W", name] = symbol.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        if let (Ok(size), true) = (u64::from_str_radix(size, 16), name.starts_with("_R")) {
            let function = functions.entry(address).or_insert((size, Vec::new()));
            function.1.push(name.to_owned());
        }
    }
    functions.into_values().collect()
}

/// A name, with a star for what differs from one build to the next: the hash of each crate, and how far back an earlier part of the
/// name stands (`B1_`). Which crate a generic function was made for stands at the end; several may have made the same one, so it is left
/// open, and so is the number that LLVM appends to some.
fn pattern(name: &str) -> String {
    let (mut rest, number) = name.split_once('.').map_or((name, ""), |(name, _)| (name, ".*"));
    let mut pattern = String::new();
    while let Some(first) = rest.chars().next() {
        let tag = if rest.starts_with("Cs") { 2 } else { first.len_utf8() };
        let (tag, behind) = rest.split_at(tag);
        let end = behind.find(|c: char| !c.is_ascii_alphanumeric()).filter(|end| behind[*end..].starts_with('_'));
        pattern.push_str(tag);
        rest = match (tag, end) {
            ("Cs", Some(end)) if is_one_word(&behind[end + 1..]) => {
                pattern.push('*');
                ""
            }
            ("Cs" | "B", Some(end)) => {
                pattern.push('*');
                &behind[end..]
            }
            _ => behind,
        };
    }
    pattern + number
}

/// Whether this is a word behind its length, and nothing else.
fn is_one_word(text: &str) -> bool {
    let word = text.trim_start_matches(|c: char| c.is_ascii_digit());
    text[..text.len() - word.len()].parse() == Ok(word.len())
}

/// The lines for those of these functions that ran, and what they cost. All begin with the same `known` bytes, and they are sorted.
fn cover(functions: &[Function], known: usize) -> (u64, Vec<String>) {
    let [first, .., last] = functions else {
        let ran = functions.iter().filter(|function| function.ran);
        return ran.fold((0, Vec::new()), |_, function| (LINE, vec![function.name.clone()]));
    };
    if !functions.iter().any(|function| function.ran) {
        return (0, Vec::new());
    }
    let alike = |pair: &(u8, u8)| pair.0 == pair.1;
    let known = known + first.name.bytes().zip(last.name.bytes()).skip(known).take_while(alike).count();
    let others: u64 = functions.iter().filter(|function| !function.ran).map(|function| function.size).sum();
    let next = |function: &Function| function.name.as_bytes().get(known).copied();
    let parts = functions.chunk_by(|one, other| next(one) == next(other)).map(|part| cover(part, known + 1));
    let apart = parts.fold((0, Vec::new()), |(cost, lines), part| (cost + part.0, [lines, part.1].concat()));
    match &first.name[..known] {
        beginning if LINE + others <= apart.0 => (LINE + others, vec![format!("{beginning}*")]),
        _ => apart,
    }
}
