//! Runs a program on a case.

use crate::{Sample, Who};
use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What is run, and where.
pub(crate) struct Machine {
    /// A directory for each case.
    pub(crate) inputs: PathBuf,
    /// Where secrets go. It is removed before each run.
    pub(crate) run: PathBuf,
    pub(crate) ours: PathBuf,
    /// The build that has its C library in it.
    pub(crate) ours_static: Option<PathBuf>,
    pub(crate) peer: Option<PathBuf>,
    pub(crate) sops: Option<PathBuf>,
    pub(crate) floor: PathBuf,
    /// Whether the last run wrote many files.
    pub(crate) has_many: Cell<bool>,
}

impl Machine {
    /// Whether the program is there, and the case is one for it.
    pub(crate) fn runs(&self, who: Who, case: &str) -> bool {
        match who {
            Who::Ours | Who::Again | Who::Floor => true,
            Who::Static | Who::StaticAgain => self.ours_static.is_some(),
            Who::Ciphers => case.starts_with("binary"),
            // It decrypts the whole file for each secret, and would take an hour.
            Who::Peer => self.peer.is_some() && !case.ends_with("-10000"),
            // It takes no age identity from an SSH key, as ssh-to-age makes one.
            Who::Sops => self.sops.is_some() && !case.contains("ssh"),
        }
    }

    /// Runs a program once.
    pub(crate) fn measure(&self, who: Who, case: &str) -> io::Result<Sample> {
        let mut command = self.command(who, case)?;
        match who {
            // It finds what the run before it installed.
            Who::Again | Who::StaticAgain => {}
            Who::Floor | Who::Ciphers => {
                self.clear()?;
                self.mount()?;
            }
            Who::Ours | Who::Static | Who::Peer | Who::Sops => self.clear()?,
        }
        self.has_many.set(case.ends_with("000") && who != Who::Sops);
        run(&mut command)
    }

    /// A build of `sops-install`.
    pub(crate) fn program(&self, who: Who) -> Option<&Path> {
        match who {
            Who::Static | Who::StaticAgain => self.ours_static.as_deref(),
            _ => Some(&self.ours),
        }
    }

    fn command(&self, who: Who, case: &str) -> io::Result<Command> {
        let directory = self.inputs.join(case);
        let missing = || io::Error::other("the program is not there");
        let mut command = match who {
            Who::Ours | Who::Again | Who::Static | Who::StaticAgain => {
                let mut command = Command::new(self.program(who).ok_or_else(missing)?);
                command.arg("install").arg(directory.join("manifest.json"));
                command
            }
            Who::Peer => {
                let mut command = Command::new(self.peer.as_ref().ok_or_else(missing)?);
                command.arg(directory.join("manifest.json"));
                command
            }
            Who::Sops => {
                let mut command = Command::new(self.sops.as_ref().ok_or_else(missing)?);
                command.args(["--config", "/dev/null", "decrypt"]);
                let file = fs::read_dir(&directory)?
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .find(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"secrets")))
                    .ok_or_else(|| io::Error::other("the case has no sops file"))?;
                if !case.starts_with("binary") {
                    command.args(["--extract", "[\"secret-00000\"]"]);
                }
                command.arg(file);
                command.env("SOPS_AGE_KEY_FILE", self.inputs.join("age.txt"));
                command.env("GNUPGHOME", self.inputs.join("gpg"));
                command
            }
            Who::Floor | Who::Ciphers => {
                let mut command = Command::new(&self.floor);
                command.args((who == Who::Ciphers).then_some("--ciphers"));
                command.arg(directory.join("floor")).arg(self.mount_point());
                command
            }
        };
        command.env("STATE_DIRECTORY", self.run.join("state")).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }

    /// How often a program calls gpg for a case.
    pub(crate) fn gpg_runs(&self, who: Who, case: &str) -> io::Result<usize> {
        self.clear()?;
        let (shim, log) = (self.run.join("bin/gpg"), self.run.join("gpg.log"));
        fs::create_dir_all(self.run.join("bin"))?;
        let path = std::env::var("PATH").map_err(io::Error::other)?;
        let real = path.split(':').map(|directory| Path::new(directory).join("gpg")).find(|file| file.exists());
        let real = real.ok_or_else(|| io::Error::other("gpg is not on the PATH"))?;
        fs::write(&shim, format!("#!/bin/sh\necho >> {}\nexec {} \"$@\"\n", log.display(), real.display()))?;
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755))?;
        let path = format!("{}:{path}", self.run.join("bin").display());
        run(self.command(who, case)?.env("PATH", path))?;
        Ok(fs::read_to_string(&log).map_or(0, |log| log.lines().count()))
    }

    fn mount_point(&self) -> PathBuf {
        self.run.join("secrets.d")
    }

    /// A RAM file system for the floor, of the kind that the programs mount.
    fn mount(&self) -> io::Result<()> {
        fs::create_dir_all(self.mount_point())?;
        mount("ramfs", &self.mount_point())
    }

    /// Removes what the last run left, and makes a place as `/run` is one: a tmpfs.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.remove()?;
        // The kernel frees thousands of files a while after they are gone, and would do so while the next program is timed. After
        // others there is no break: the processor would have to wake up.
        if self.has_many.get() {
            sleep(Duration::from_millis(50));
        }
        fs::create_dir_all(&self.run)?;
        mount("tmpfs", &self.run)
    }

    /// Removes what the last run left, and its place.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for mounted in [&self.mount_point(), &self.run] {
            while Command::new("umount").arg(mounted).stderr(Stdio::null()).status()?.success() {}
        }
        match fs::remove_dir_all(&self.run) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn mount(kind: &str, place: &Path) -> io::Result<()> {
    let status = Command::new("mount").args(["-t", kind, "none"]).arg(place).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("cannot mount a {kind}"))) }
}

/// Runs a command to its end. It is timed from before its process is made until it is gone.
fn run(command: &mut Command) -> io::Result<Sample> {
    let said = std::env::temp_dir().join("bench-compare.said");
    command.stderr(File::create(&said)?);
    let begun = Instant::now();
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid one, and the kernel fills it in.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and nobody else waits for this child.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    let took = begun.elapsed();
    if waited != pid {
        return Err(io::Error::last_os_error());
    }
    let status = ExitStatus::from_raw(status);
    if !status.success() {
        let said = fs::read_to_string(&said).unwrap_or_default();
        return Err(io::Error::other(format!("{command:?} ended with {status}: {said}")));
    }
    Ok(Sample { took, peak: u64::try_from(usage.ru_maxrss).map_err(io::Error::other)? })
}
