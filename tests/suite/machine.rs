//! A machine to install to: with a RAM file system of its own, owners, and what can be seen of it from outside.

use crate::common::{Sandbox, encrypted, fixture, is_root, skip};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A user that no account has.
pub(crate) const USER: u32 = 48_213;

/// A sandbox on which the program mounts. It is unmounted at the end, also of a test that fails.
pub(crate) struct Machine {
    pub(crate) sandbox: Sandbox,
}

impl Machine {
    /// `None` where this does not run as root; that is said aloud.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !is_root() {
            skip(test, "root");
            return None;
        }
        Some(Self::of_whoever())
    }

    /// A machine that is installed to in user mode where this does not run as root.
    pub(crate) fn of_whoever() -> Self {
        let sandbox = Sandbox::new();
        fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        Self { sandbox }
    }

    /// A manifest that installs to this machine.
    pub(crate) fn manifest(&self, top: &str, secrets: &str) -> PathBuf {
        self.manifest_at("manifest.yaml", top, secrets)
    }

    /// The same under a name of its own.
    pub(crate) fn manifest_at(&self, name: &str, top: &str, secrets: &str) -> PathBuf {
        let user_mode = if is_root() { "" } else { "userMode: true\n" };
        let links = if top.contains("symlinkPath") { "" } else { "symlinkPath: run/secrets\n" };
        let store = if top.contains("secretsMountPoint") { "" } else { "secretsMountPoint: run/secrets.d\n" };
        let text = format!(
            "{user_mode}{store}{links}age: {{keyFile: {}}}\ndefaultSopsFile: {}\n{top}\n\
             secrets: {secrets}\n",
            fixture("keys/age.txt").display(),
            encrypted("secrets.yaml").display()
        );
        self.sandbox.write(name, text)
    }

    pub(crate) fn run(&self, manifest: &Path) -> Output {
        self.sandbox.run(&["install", manifest.to_str().unwrap()])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    /// Unmounts the store, if there is one, also where somebody still looks into it.
    pub(crate) fn unmount(&self) {
        let mut umount = Command::new("umount");
        umount.arg("-l").arg(self.path("run/secrets.d")).stderr(Stdio::null());
        while is_root() && umount.status().unwrap().success() {}
    }

    /// The program under strace. It is run where other programs can be found, and with the sandbox's state.
    pub(crate) fn strace(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq"]).args(options).arg(env!("CARGO_BIN_EXE_sops-install"));
        // Cargo's, which would make the loader look around.
        strace.env_remove("LD_LIBRARY_PATH");
        strace.args(arguments).env("STATE_DIRECTORY", self.path("state")).current_dir(self.path(""));
        strace
    }

    /// The files of the live generation with what they hold; `None` where there is no link to one.
    pub(crate) fn live(&self, link: &str) -> Option<Files> {
        let link = self.path(link);
        link.is_symlink().then(|| {
            let mut files = Files::new();
            collect(&link, "", &mut files);
            files.retain(|name, _| !name.starts_with(".sops-install"));
            files
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// Files by their names, with what they hold.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The regular files below a directory. What cannot be listed holds none.
pub(crate) fn collect(directory: &Path, prefix: &str, files: &mut Files) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => collect(&entry.path(), &format!("{name}/"), files),
            kind if kind.is_file() => match fs::read(entry.path()) {
                Ok(bytes) => drop(files.insert(name, bytes)),
                // A file that is not complete can be read by nobody but root.
                Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}: {error}"),
            },
            _ => {}
        }
    }
}

/// User, group and mode of what stands at a path, links not followed.
pub(crate) fn access(path: PathBuf) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

/// The group of directories, as the plan has it.
pub(crate) fn keys() -> u32 {
    nix::unistd::Group::from_name("keys").unwrap().map_or(0, |group| group.gid.as_raw())
}
