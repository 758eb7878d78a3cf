//! How deep the stack was used, so that no more of it is wiped. Most runs use a quarter of what the deepest one needs, and each
//! page that nobody has touched yet takes the kernel a microsecond to make.

use crate::secret::DEEPEST;
use nix::unistd::{SysconfVar, sysconf};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// How many bytes of the stack below the caller were used, for [`wipe_stack`](crate::secret::wipe_stack); a little more than
/// [`DEEPEST`] at most. Where it cannot be told, it is that: only root may ask it of a process that others may not look
/// into, and not every kernel knows.
#[inline(never)]
pub fn depth() -> usize {
    seen().unwrap_or(DEEPEST)
}

#[inline(never)]
fn seen() -> Option<usize> {
    let page = usize::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let here = std::ptr::from_ref(&page).addr();
    let (first, last) = (here.checked_sub(DEEPEST)? / page, here / page);
    // `pagemap` has eight bytes for each page.
    let mut pages = vec![0; (last - first + 1) * 8];
    File::open("/proc/self/pagemap").ok()?.read_exact_at(&mut pages, u64::try_from(first * 8).ok()?).ok()?;
    // In memory, or swapped out.
    const USED: u64 = 1 << 63 | 1 << 62;
    let (pages, _) = pages.as_chunks();
    let mut is_used = pages.iter().map(|page| u64::from_ne_bytes(*page) & USED != 0);
    let lowest = first + is_used.position(|is_used| is_used)?;
    // This function's own page is in use. Who does not say so does not know. One page more: from the caller to here.
    is_used.next_back().unwrap_or(lowest == last).then(|| here + page - (lowest * page).min(here))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[inline(never)]
    fn use_stack<const SIZE: usize>() {
        black_box(&mut [1u8; SIZE]);
    }

    fn depth_after(work: fn()) -> Option<usize> {
        // Of this size no thread that ended has left a stack that was used.
        let thread = std::thread::Builder::new().stack_size(4 << 20);
        thread.spawn(move || (work(), seen()).1).unwrap().join().unwrap()
    }

    #[test]
    fn what_was_used_is_seen() {
        let (little, more) = (depth_after(|| ()).unwrap(), depth_after(use_stack::<150_000>).unwrap());
        assert!(little < 100_000, "{little}");
        assert!((140_000..200_000).contains(&more), "{more}");
        assert_eq!(depth_after(use_stack::<1_000_000>).unwrap() / 8192, DEEPEST / 8192);
    }
}
