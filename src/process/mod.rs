//! The process that a command runs in. Both programs share it; it is the one place with unsafe code: the environment is
//! changed here, memory is zeroed here that libraries leave behind, and a few functions stand here for the C library's.

#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "memory is copied, whatever is in it")]
mod copy;
mod memory;
mod start;

use nix::libc;
use sops_install::cli::{Exit, Process};
use sops_install::identity::Variables;
use sops_install::secret::{SecretBytes, wipe_stack};
use sops_install::system::machine::SECRET_VARIABLES;
use sops_install::system::process::prepare;
use sops_install::system::stack;
use sops_install::voice::{Level, Voice};
use std::ffi::CString;
#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
use std::ffi::c_void;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// The logarithm that rPGP takes for keys that Argon2 protects, from a crate. It would be the one function of the C library's
/// mathematics that is used, and the loader would load that library in each run.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a symbol of the C library is given a meaning: the one that it has")]
#[unsafe(no_mangle)]
extern "C" fn log2f(number: f32) -> f32 {
    libm::log2f(number)
}

// These two stand here and not in `copy.rs`, which the tests include: they would copy for the tests themselves. musl's `memmove` needs
// its `memcpy`, so both are replaced or none.
#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "a symbol of the C library is given a meaning: the one that it has")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    unsafe { copy::copy(to.cast(), from.cast(), length) };
    to
}

#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "a symbol of the C library is given a meaning: the one that it has")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    unsafe { copy::shift(to.cast(), from.cast(), length) };
    to
}

/// Prepares the process, carries out `command` in it, and gives its exit code.
pub(crate) fn run(program: &'static str, command: impl FnOnce(&mut Process<'_>) -> anyhow::Result<Exit>) -> u8 {
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
        Ok(exit) => exit as u8,
        Err(error) => {
            // If it is standard error that cannot be written to, there is nobody left to tell.
            let _ = process.errors.write_all(voice.told(Level::Error, &format!("{error:#}")).as_bytes());
            Exit::Failed as u8
        }
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
