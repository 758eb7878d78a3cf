//! One run at a time: a lock on the directory that generations lie in. It goes with the process, however that ends.

use super::dir::Dir;
use std::fs::{File, TryLockError};
use std::io;

/// The lock. It is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock on `dir`, and waits for it where another run holds it; `waiting` is called first in that case.
pub fn lock(dir: &Dir, waiting: &mut dyn FnMut()) -> io::Result<Lock> {
    let file = File::from(dir.reopen()?.into_fd());
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(Lock { _file: file })
}
