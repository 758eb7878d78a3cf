//! The process that a command runs in. Both programs share it; it is the one place with unsafe code: the environment is
//! changed here, memory is zeroed here that libraries leave behind, and one function stands here for the C library's.

use nix::libc;
use sops_install::cli::{Exit, Process};
use sops_install::identity::Variables;
use sops_install::secret::{SecretBytes, wipe_stack};
use sops_install::system::machine::SECRET_VARIABLES;
use sops_install::system::process::prepare;
use sops_install::system::stack;
use sops_install::voice::{Level, Voice};
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CString;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::process::ExitCode;

#[cfg(not(target_env = "musl"))]
use std::alloc::System;

/// What takes the place of musl's own allocator, which gives most pages back as soon as it can and asks for them again: a tenth of a
/// run with one secret. The crate's own lock is a mutex of C, which takes longer than the rest of what an allocator does.
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

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { Self::heap().realloc(block, layout.size(), layout.align(), size) }
    }
}

/// From this size on, a block is a mapping of its own: glibc's limit is fixed below it in [`run`]. Of other allocators this is not
/// known.
const LARGE: usize = if cfg!(target_env = "gnu") { 2 * LARGEST_ON_THE_HEAP } else { usize::MAX };
const LARGEST_ON_THE_HEAP: usize = 128 * 1024;

/// From this size on, the kernel is asked for large pages: there are a file's plaintext or ciphertext in such a block, all of
/// which is used, and to come by it in pages of 4 KiB takes longer than to decrypt it.
#[cfg(target_os = "linux")]
const HUGE: usize = 8 << 20;

/// Zeroes memory when it is given back. [`SecretBytes`] does so with what this program holds; parsers and ciphers copy
/// what they work on, and buffers that grow are moved.
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

/// The logarithm that rPGP takes for keys that Argon2 protects, from a crate. It would be the one function of the C library's
/// mathematics that is used, and the loader would load that library in each run.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a symbol of the C library is given a meaning: the one that it has")]
#[unsafe(no_mangle)]
extern "C" fn log2f(number: f32) -> f32 {
    libm::log2f(number)
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

/// Prepares the process, carries out `command` in it, and gives its exit code.
pub(crate) fn run(program: &'static str, command: impl FnOnce(&mut Process<'_>) -> anyhow::Result<Exit>) -> ExitCode {
    fix_allocator();
    #[cfg(panic = "abort")]
    refuse_backtraces();
    let is_terminal = std::io::stderr().is_terminal();
    let file = std::io::stderr().as_fd().try_clone_to_owned().and_then(|file| File::from(file).metadata()).ok();
    let voice = Voice::of(program, is_terminal, file.as_ref(), &|name| std::env::var_os(name));
    let mut process = Process {
        voice,
        secret_variables: take_secret_variables(),
        export: &mut export,
        output: &mut std::io::stdout().lock(),
        output_is_terminal: std::io::stdout().is_terminal(),
        errors: &mut std::io::stderr(),
    };
    let result = prepare().map_err(anyhow::Error::from).and_then(|()| command(&mut process));
    wipe_stack(stack::depth());
    match result {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            // If it is standard error that cannot be written to, there is nobody left to tell.
            let _ = process.errors.write_all(voice.told(Level::Error, &format!("{error:#}")).as_bytes());
            ExitCode::from(Exit::Failed as u8)
        }
    }
}

/// Keeps glibc from raising the size from which blocks are mappings, as it does when one is given back; and from giving back
/// and asking for a few pages of the heap at a time, which a short run never gains by.
fn fix_allocator() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "settings of the C library; no other thread runs yet")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_ON_THE_HEAP as libc::c_int);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
        libc::mallopt(libc::M_TOP_PAD, 1 << 20);
    }
}

/// The variables that ask for a backtrace with each error.
#[cfg(panic = "abort")]
const BACKTRACES: [&str; 2] = ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];

/// Sees to it that no error looks for the way that led to it: the tables that tell it are not part of a program that ends where
/// it panics (`link/no-unwinding.ld`), and it would end where it looks for them.
#[cfg(panic = "abort")]
fn refuse_backtraces() {
    for name in BACKTRACES {
        #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
        unsafe {
            std::env::remove_var(name);
        }
    }
    // The standard library decides the first time that it is asked, and for good: an `environmentFile` may set them again.
    drop(std::backtrace::Backtrace::capture());
}

/// Takes the variables that hold keys out of the environment. Plugins and other programs get the environment as it is
/// then, and none of them needs those keys.
fn take_secret_variables() -> Variables {
    let mut taken = Variables::new();
    for name in SECRET_VARIABLES {
        let Some(value) = std::env::var_os(name) else { continue };
        if let Ok(value) = value.into_string() {
            taken.insert(name.to_owned(), SecretBytes::from(value));
        }
        wipe_variable(name);
        #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
        unsafe {
            std::env::remove_var(name);
        }
    }
    taken
}

/// Zeroes the value of a variable where the kernel put it when the program began: taking a variable out of the
/// environment leaves its text there, and `/proc/PID/environ` shows it.
fn wipe_variable(name: &str) {
    let Ok(name) = CString::new(name) else { return };
    #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
    unsafe {
        let value = libc::getenv(name.as_ptr());
        if !value.is_null() {
            libc::explicit_bzero(value.cast(), libc::strlen(value));
        }
    }
}

/// Sets a variable for the programs that are run. It is called before files are opened, which is when threads begin.
fn export(name: &str, value: &str) {
    #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
    unsafe {
        std::env::set_var(name, value);
    }
}
