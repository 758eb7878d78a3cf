//! Which functions lie at the beginning of a program: those that a short run uses, as a linker script. `order/run` calls it.
//!
//! Arguments, in pairs, one for each build: a file with what `nm -S` says of the program, and one with the names of the functions that
//! ran, a line each. The script goes to standard output.
//!
//! A name holds a hash of each crate (`Cs6eC2DG7lh_3std`), which changes with the compiler; the script has a star there. Where nearly all
//! functions that begin alike ran, their common beginning and a star stands for them.

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
        for (name, size) in sizes(&read_to_string(symbols)?) {
            let known = functions.entry(name).or_default();
            *known = size.max(*known);
        }
        ran.extend(read_to_string(names)?.lines().map(pattern));
    }
    let functions: Vec<Function> =
        functions.into_iter().map(|(name, size)| Function { ran: ran.contains(&name), name, size }).collect();
    if !functions.iter().any(|function| function.ran) {
        return Err(io::Error::other("none of the functions ran: are these the names as the linker knows them?"));
    }
    println!("/* Written by benches/order/run: the functions that a run with few secrets uses. */");
    println!("SECTIONS {{\n  .text.first : {{");
    cover(&functions, 0).1.iter().for_each(|line| println!("    *(.text.{line})"));
    println!("  }}\n}} INSERT BEFORE .text;");
    Ok(())
}

struct Function {
    name: String,
    size: u64,
    ran: bool,
}

/// The functions of a program that have a name of Rust's, and how many bytes they take; several may have the same pattern.
fn sizes(symbols: &str) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    for symbol in symbols.lines() {
        let [_, size, "t" | "T" | "w" | "W", name] = symbol.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        if let (Ok(size), true) = (u64::from_str_radix(size, 16), name.starts_with("_R")) {
            *sizes.entry(pattern(name)).or_default() += size;
        }
    }
    sizes
}

/// A name, with a star for the hash of each crate, and for the number that LLVM appends to some.
fn pattern(name: &str) -> String {
    let (name, number) = name.split_once('.').map_or((name, ""), |(name, _)| (name, ".*"));
    let mut parts = name.split("Cs");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hash = part.find(|c: char| !c.is_ascii_alphanumeric()).filter(|end| part[*end..].starts_with('_'));
        pattern.push_str("Cs");
        match hash {
            Some(end) => pattern.extend(["*", &part[end..]]),
            None => pattern.push_str(part),
        }
    }
    pattern + number
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
