//! How the build with musl copies memory: whatever the length and wherever it lies, as the standard library does.

#[expect(unsafe_code, reason = "memory is copied, whatever is in it")]
#[path = "../../src/process/copy.rs"]
mod copy;

const MOST: usize = 300;

/// So much memory that no two bytes near each other are alike.
fn memory() -> Vec<u8> {
    (0..3 * MOST).map(|at| (at * 7 % 251) as u8).collect()
}

#[test]
fn memory_is_copied_whatever_its_length() {
    for length in 0..=MOST {
        for (to, from) in [(0, 0), (1, 0), (0, 3), (5, 8)] {
            let (source, mut is, mut should) = (memory(), vec![0; 2 * MOST], vec![0; 2 * MOST]);
            should[to..to + length].copy_from_slice(&source[from..from + length]);
            #[expect(unsafe_code, reason = "both are longer than what is copied")]
            unsafe {
                copy::copy(is.as_mut_ptr().add(to), source.as_ptr().add(from), length);
            }
            assert_eq!(is, should, "{length} bytes from {from} to {to}");
        }
    }
}

#[test]
fn memory_is_moved_wherever_it_lies() {
    for length in (0..=MOST).filter(|length| *length < 140 || length % 9 < 4) {
        for to in MOST - length..=MOST + length {
            let (mut is, mut should) = (memory(), memory());
            should.copy_within(MOST..MOST + length, to);
            #[expect(unsafe_code, reason = "both lie in the same memory, which has three times the length")]
            unsafe {
                let start = is.as_mut_ptr();
                copy::shift(start.add(to), start.add(MOST), length);
            }
            assert_eq!(is, should, "{length} bytes from {MOST} to {to}");
        }
    }
}
