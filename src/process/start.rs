//! Where both programs begin, in place of the standard library's start. That one looks for the bounds of the stack, with
//! glibc in `/proc/self/maps`, so that it can tell where a stack ran over; this takes a sixteenth of a run with one secret. Here
//! such a program ends just as well, and is told by the kernel.

use super::memory;
use nix::libc;
use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::process::{abort, exit};

/// The C library calls this.
///
/// # Safety
/// `words` has `count` texts.
#[expect(unsafe_code, reason = "the C library finds it by its name")]
#[unsafe(no_mangle)]
unsafe extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    memory::fix_allocator();
    memory::fill();
    open_standard_streams();
    ignore_broken_pipes();
    let count = usize::try_from(count).unwrap_or(0);
    #[expect(unsafe_code, reason = "the caller says how many there are, each of which is a text")]
    let words = (0..count).map(|at| unsafe { CStr::from_ptr(*words.add(at)) });
    let words = words.map(|word| OsString::from_vec(word.to_bytes().to_vec())).collect();
    // This writes what is still to be written to standard output, and calls what is to be called at the end.
    exit(crate::run(words).into())
}

/// Makes sure that no file which is opened later takes the place of a standard stream that the caller closed: errors would be
/// written into it.
fn open_standard_streams() {
    for stream in libc::STDIN_FILENO..=libc::STDERR_FILENO {
        #[expect(unsafe_code, reason = "it looks whether the descriptor is open, and whoever it belongs to")]
        let is_open = unsafe { libc::fcntl(stream, libc::F_GETFD) } != -1;
        // The lowest number that is free is taken, and those below are open.
        #[expect(unsafe_code, reason = "the path is a text; the descriptor stays open to the end")]
        if !is_open && unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } != stream {
            abort();
        }
    }
}

/// Whoever reads what is written may go away. That is an error of writing, and not the end.
fn ignore_broken_pipes() {
    #[expect(unsafe_code, reason = "no handler is set, and no other thread runs yet")]
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}
