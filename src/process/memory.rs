//! Memory: it is zeroed when it is given back.

use nix::libc;
use std::alloc::{GlobalAlloc, Layout};

#[cfg(not(target_env = "musl"))]
use std::alloc::System;

/// What takes the place of musl's own allocator, which gives most pages back as soon as it can and asks for them again: a tenth
/// of a run with one secret. The crate's own lock is a mutex of C, which takes longer than the rest of what an allocator does. It
/// is never asked for another size: [`Zeroing`] takes a new block.
#[cfg(target_env = "musl")]
struct System;

#[cfg(target_env = "musl")]
static HEAP: std::sync::Mutex<dlmalloc::Dlmalloc> = std::sync::Mutex::new(dlmalloc::Dlmalloc::new());

#[cfg(target_env = "musl")]
impl System {
    fn heap() -> std::sync::MutexGuard<'static, dlmalloc::Dlmalloc> {
        // Nothing panics that holds it.
        HEAP.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(target_env = "musl")]
#[expect(unsafe_code, reason = "an allocator cannot be written without; each call is handed on with what it came with")]
unsafe impl GlobalAlloc for System {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { Self::heap().malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { Self::heap().calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { Self::heap().free(block, layout.size(), layout.align()) }
    }
}

/// From this size on, a block is a mapping of its own: glibc's limit is fixed below it in [`fix_allocator`]. Of other allocators
/// this is not known.
const LARGE: usize = if cfg!(target_env = "gnu") { 2 * LARGEST_ON_THE_HEAP } else { usize::MAX };
const LARGEST_ON_THE_HEAP: usize = 128 * 1024;

/// From this size on, the kernel is asked for large pages: there are a file's plaintext or ciphertext in such a block, all of
/// which is used, and to come by it in pages of 4 KiB takes longer than to decrypt it.
#[cfg(target_os = "linux")]
const HUGE: usize = 8 << 20;

/// Zeroes memory when it is given back. [`SecretBytes`](sops_install::secret::SecretBytes) does so with what this program holds;
/// parsers and ciphers copy what they work on, and buffers that grow are moved.
struct Zeroing;

#[global_allocator]
static ALLOCATOR: Zeroing = Zeroing;

#[expect(unsafe_code, reason = "an allocator cannot be written without; each call is handed on with what it came with")]
unsafe impl GlobalAlloc for Zeroing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = unsafe { System.alloc(layout) };
        ask_for_large_pages(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = unsafe { System.alloc_zeroed(layout) };
        ask_for_large_pages(block, layout.size());
        block
    }

    /// The system could move a block and leave the old one as it was, so a new one is made and the old one given back. A large
    /// block is a mapping of its own, whose pages the system moves without a copy; two of them would take twice the memory.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() >= LARGE && size >= LARGE {
            return unsafe { System.realloc(block, layout, size) };
        }
        let Ok(new_layout) = Layout::from_size_align(size, layout.align()) else { return std::ptr::null_mut() };
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // No compiler may leave this call out, as it may other writes to memory that nobody reads again.
        unsafe { libc::explicit_bzero(block.cast(), layout.size()) };
        unsafe { System.dealloc(block, layout) }
    }
}

/// Asks for large pages in a block that is large enough to have some, from the page on in which it begins.
fn ask_for_large_pages(block: *mut u8, size: usize) {
    #[cfg(target_os = "linux")]
    if size >= HUGE && !block.is_null() {
        let begins = block.addr() % 4096;
        // Where there are none, the block has small ones as before.
        #[expect(unsafe_code, reason = "advice on memory that this process has just been given; it changes no content")]
        let _ = unsafe { libc::madvise(block.wrapping_sub(begins).cast(), size + begins, libc::MADV_HUGEPAGE) };
    }
}

/// Keeps glibc from raising the size from which blocks are mappings, as it does when one is given back; and from giving back
/// and asking for a few pages of the heap at a time, which a short run never gains by. Comes before the first block.
pub(super) fn fix_allocator() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "settings of the C library; no other thread runs yet")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_ON_THE_HEAP as libc::c_int);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
        libc::mallopt(libc::M_TOP_PAD, 1 << 20);
    }
}

/// Has the kernel give the first pages of heap and stack at once, which every run uses, and not one by one as they are touched.
pub(super) fn fill() {
    /// A run with one secret uses so much.
    const HEAP: usize = 144 << 10;
    const STACK: usize = 52 << 10;
    // glibc's heap is one piece. Another allocator gets one, which it keeps.
    let layout = Layout::new::<[u8; if cfg!(target_env = "gnu") { 1 } else { HEAP }]>();
    #[expect(unsafe_code, reason = "the block is given back as it was taken, and nothing is written to it")]
    unsafe {
        let block = System.alloc(layout);
        if !block.is_null() {
            ask_for_pages(block, HEAP);
            System.dealloc(block, layout);
        }
    }
    let here = 0u8;
    ask_for_pages((&raw const here).wrapping_sub(STACK), STACK);
}

/// Asks for the pages of so much memory from the page of `first` on. Older kernels do not know that, and what is not mapped they
/// refuse; then pages come when they are touched.
fn ask_for_pages(first: *const u8, size: usize) {
    #[cfg(target_os = "linux")]
    {
        let begins = first.addr() % 4096;
        let first = first.wrapping_sub(begins).cast_mut();
        #[expect(unsafe_code, reason = "advice on memory; it changes no content")]
        let _ = unsafe { libc::madvise(first.cast(), size, libc::MADV_POPULATE_WRITE) };
    }
}
