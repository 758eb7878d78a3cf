//! Fuzzes on stable Rust: mutates the fixtures, keeps what a target takes, and watches for panics, slow inputs and memory.
//!
//! `cargo run --release -- [--seconds 60] [--seed 1] [TARGET…]` gives each target an equal share of the time. An input
//! that panics or is too slow is written to `artifacts`. One that overflows the stack ends the program; the same seed
//! leads there again.

#![forbid(unsafe_code)]

mod mutate;
mod seeds;

use mutate::Mutator;
use sops_install_fuzz::{TARGETS, Target};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long one input may take.
const SLOW: Duration = Duration::from_secs(2);

/// How much memory the whole program may take while one target runs. Inputs are no longer than [`mutate::LONGEST`], and
/// those that are kept take a quarter of this at most. What the allocator has kept since earlier targets counts too.
const MOST_MEMORY_KIB: u64 = 1 << 20;

const THREADS: u64 = 2;

fn main() -> ExitCode {
    let (mut seconds, mut seed, mut wanted) = (60.0, 1, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u32>().ok());
        match argument.as_str() {
            "--seconds" => seconds = number().map_or(seconds, f64::from),
            "--seed" => seed = number().map_or(seed, u64::from),
            name => wanted.push(name.to_owned()),
        }
    }
    let targets: Vec<_> =
        TARGETS.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name)).collect();
    if targets.is_empty() {
        eprintln!("no such target; there are {}", TARGETS.map(|(name, _)| name).join(", "));
        return ExitCode::from(2);
    }
    let share = Duration::from_secs_f64(seconds / targets.len() as f64);
    let failed = targets.into_iter().filter(|(name, target)| !run(name, *target, share, seed)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Fuzzes one target; whether nothing was found.
fn run(name: &str, target: Target, share: Duration, seed: u64) -> bool {
    let corpus = seeds::seeds(name);
    let (executions, taken, found) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let slowest = Mutex::new(Duration::ZERO);
    forget_peak_memory();
    let end = Instant::now() + share;
    let work = |number: u64| {
        let mut mutator = Mutator::new(seed.wrapping_mul(1_000_003).wrapping_add(number), corpus.clone());
        let current = Mutex::new((Instant::now(), Vec::new()));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // The one who sees that an input does not end cannot be the one who runs it.
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                    let Ok(current) = current.lock() else { return };
                    if current.0.elapsed() > SLOW * 5 {
                        report(name, "never ends", &current.1);
                        std::process::exit(1);
                    }
                }
            });
            while Instant::now() < end && !found.load(Ordering::Relaxed) {
                let input = mutator.next();
                let start = Instant::now();
                if let Ok(mut current) = current.lock() {
                    *current = (start, input.clone());
                }
                let outcome = catch_unwind(|| target(&input));
                let time = start.elapsed();
                executions.fetch_add(1, Ordering::Relaxed);
                if outcome.is_err() || time > SLOW {
                    report(name, if outcome.is_err() { "panics" } else { "is slow" }, &input);
                    found.store(true, Ordering::Relaxed);
                }
                if let Ok(mut slowest) = slowest.lock() {
                    *slowest = time.max(*slowest);
                }
                if outcome.unwrap_or(false) {
                    taken.fetch_add(1, Ordering::Relaxed);
                    mutator.keep(input);
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    };
    // Two levels of scope: each worker has its own watcher. Stacks have the size that threads of the program have.
    std::thread::scope(|scope| (0..THREADS).for_each(|number| drop(scope.spawn(move || work(number)))));
    let memory = peak_memory_kib();
    let slowest = slowest.into_inner().unwrap_or_default();
    let executions = executions.into_inner();
    let taken = taken.into_inner() * 100 / executions.max(1);
    println!(
        "{name}: {executions} executions, {taken} % taken, slowest {slowest:?}, peak memory {} MiB",
        memory / 1024
    );
    if memory > MOST_MEMORY_KIB {
        println!("{name}: too much memory");
    }
    !found.into_inner() && memory <= MOST_MEMORY_KIB
}

/// Keeps the input that shows a failure.
fn report(target: &str, what: &str, input: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let path = directory.join(format!("{target}-{hash:016x}"));
    let written = std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&path, input));
    println!("{target}: an input of {} bytes {what}: {} ({written:?})", input.len(), path.display());
}

/// Counts the peak from here on, so that a target is not blamed for those before it. Where the system cannot, it is.
fn forget_peak_memory() {
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        println!("the peak memory is that of all targets so far: {error}");
    }
}

/// The most memory that this program had since [`forget_peak_memory`], where the system tells.
fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
