//! One run at a time: a lock on a file beside the directory that generations lie in.
//!
//! The file can be opened by its owner alone, and stands outside of what is mounted. The lock goes with the process,
//! however that ends; the file stays.

use super::dir::Dir;
use super::process::prepare_to_wait;
use crate::generation::lock_name;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;

/// The lock. It is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock for the directory `name` in `above`, and waits for it where another run holds it; `waiting` is called
/// first in that case.
pub fn lock(above: &Dir, name: &OsStr, waiting: &mut dyn FnMut()) -> io::Result<Lock> {
    let file = above.open_lock_file(&lock_name(name))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            prepare_to_wait();
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(Lock { _file: file })
}
