//! What is set for the whole process before it does anything.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};

/// Prepares the process: no core dump may hold a secret, and directories that are made get the mode that is asked for,
/// whatever umask the caller has.
pub fn prepare() -> std::io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    Ok(())
}
