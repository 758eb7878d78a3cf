//! The process that a command runs in. Both programs share it; it is the one place that changes the environment.

use sops_install::cli::{Exit, Process};
use sops_install::identity::Variables;
use sops_install::secret::SecretBytes;
use sops_install::system::machine::SECRET_VARIABLES;
use sops_install::system::process::prepare;
use sops_install::voice::{Level, Voice};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Prepares the process, carries out `command` in it, and gives its exit code.
pub(crate) fn run(program: &'static str, command: impl FnOnce(&mut Process<'_>) -> anyhow::Result<Exit>) -> ExitCode {
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
    match prepare().map_err(anyhow::Error::from).and_then(|()| command(&mut process)) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            // If it is standard error that cannot be written to, there is nobody left to tell.
            let _ = process.errors.write_all(voice.told(Level::Error, &format!("{error:#}")).as_bytes());
            ExitCode::from(Exit::Failed as u8)
        }
    }
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
        #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
        unsafe {
            std::env::remove_var(name);
        }
    }
    taken
}

/// Sets a variable for the programs that are run. It is called before files are opened, which is when threads begin.
fn export(name: &str, value: &str) {
    #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
    unsafe {
        std::env::set_var(name, value);
    }
}
