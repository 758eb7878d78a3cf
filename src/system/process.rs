//! What is set for the whole process before it does anything.

use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::sync::Once;

/// The permission bits that no file of this process has when it is made.
pub const UMASK: u32 = 0o022;

/// Prepares the process: no core dump may hold a secret, no swap device where that may be prevented, and directories that
/// are made get the mode that is asked for, whatever umask the caller has.
pub fn prepare() -> std::io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    umask(Mode::from_bits_truncate(UMASK));
    drop_power()?;
    if has_swap() {
        lock_memory();
    }
    Ok(())
}

/// Prepares the process for a person or another program that it waits for. That may take long, and in the meantime there may
/// come to be a swap device, as while a machine starts.
pub fn prepare_to_wait() {
    static LOCKED: Once = Once::new();
    LOCKED.call_once(lock_memory);
}

/// Whether there is something that memory could be written to. Without it there is nothing to lock it for, and that would be
/// a tenth of what an installation takes.
fn has_swap() -> bool {
    // The first line is a heading.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}

/// What an installation needs of root's power.
const NEEDED: CapabilitySet = CapabilitySet::SYS_ADMIN // mounting
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::SETUID) // a directory's owner makes what is in it
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::IPC_LOCK);

/// Gives up all other capabilities, before there are threads, which would keep theirs. Programs that are run start with what
/// root has: what a plugin or a command needs is not known here.
fn drop_power() -> std::io::Result<()> {
    let CapabilitySets { effective, permitted, inheritable } = capabilities(None)?;
    let kept = CapabilitySets {
        effective: effective & NEEDED,
        permitted: permitted & NEEDED,
        inheritable: inheritable & NEEDED,
    };
    Ok(set_capabilities(None, kept)?)
}

/// Keeps the memory of this process out of swap, where it may lock as much as it likes: with `CAP_IPC_LOCK`, or without a
/// limit.
///
/// A limit that is reached would fail an allocation in the middle of a run, so below a limit nothing is locked at all.
fn lock_memory() {
    let is_privileged = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    let is_unlimited = || getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(limit, _)| limit == RLIM_INFINITY);
    if is_privileged || is_unlimited() {
        // Pages are locked when they are first used, so what is never used costs nothing. Where it may not be done after
        // all, secrets are as they are in every other program.
        let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
        let _ = mlockall(MlockAllFlags::from_bits_retain(flags));
    }
}
