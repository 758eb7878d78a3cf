//! Asks a person: on the terminal where there is one, otherwise by `systemd-ask-password`. Never on standard input, which
//! in an activation belongs to somebody else; and never without an end.

use crate::secret::SecretBytes;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How an answer is typed.
#[derive(Clone, Copy, PartialEq)]
pub enum Answer {
    /// Without being seen.
    Hidden,
    /// In sight.
    Shown,
}

/// Ctrl-C, as a terminal hands it on where it is no signal.
const CTRL_C: u8 = 3;

/// Asks a question. The error says why there is no answer.
pub fn ask(question: &str, answer: Answer) -> Result<SecretBytes, String> {
    let seconds = patience(std::env::var("SOPS_INSTALL_ASK_SECONDS").ok().as_deref());
    let question = crate::error::printable(question);
    match File::options().read(true).write(true).open("/dev/tty") {
        Ok(terminal) => on_terminal(terminal, &question, answer, Duration::from_secs(seconds)),
        Err(_) => by_systemd(&question, answer, seconds),
    }
}

/// Whether the question is seen on a terminal.
pub fn is_seen() -> bool {
    File::options().read(true).write(true).open("/dev/tty").is_ok()
}

/// How long a person has to answer, in seconds. `SOPS_INSTALL_ASK_SECONDS` sets another time, up to a day. It is never 0:
/// systemd-ask-password takes that for "without an end".
fn patience(wanted: Option<&str>) -> u64 {
    const USUAL: u64 = 90;
    const LONGEST: u64 = 24 * 60 * 60;
    wanted.and_then(|seconds| seconds.parse().ok()).unwrap_or(USUAL).clamp(1, LONGEST)
}

/// Puts the terminal back as it was, however the question ends.
struct Restore<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        // There is nothing left to do about a terminal that cannot be set.
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

fn on_terminal(terminal: File, question: &str, answer: Answer, patience: Duration) -> Result<SecretBytes, String> {
    let failed = |error: std::io::Error| format!("the terminal cannot be used: {error}");
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let _restore = Restore { terminal: &terminal, before: before.clone() };
    let mut quiet = before;
    quiet.local_flags.set(LocalFlags::ECHO, answer == Answer::Shown);
    // Ctrl-C arrives as a character: the terminal must not stay silent when the program ends. It ends a line, so that it
    // arrives at once, while the line can still be edited.
    quiet.local_flags.remove(LocalFlags::ISIG);
    quiet.control_chars[SpecialCharacterIndices::VEOL as usize] = CTRL_C;
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet).map_err(|error| failed(error.into()))?;
    write!(&terminal, "{question}: ").map_err(failed)?;
    let line = read_line(&terminal, patience);
    if answer == Answer::Hidden {
        // The newline was not echoed either.
        writeln!(&terminal).map_err(failed)?;
    }
    line
}

fn read_line(mut terminal: &File, patience: Duration) -> Result<SecretBytes, String> {
    const LONGEST: usize = 4096;
    let deadline = Instant::now() + patience;
    let mut line = SecretBytes::default();
    let mut byte = zeroize::Zeroizing::new([0u8]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(format!("nobody answered within {} seconds", patience.as_secs())),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(format!("the terminal cannot be read: {error}")),
        }
        match terminal.read(byte.as_mut_slice()) {
            Ok(0) => return Err("the terminal was closed".into()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("the terminal cannot be read: {error}")),
        }
        match byte.first() {
            Some(b'\n' | b'\r') => return Ok(line),
            Some(&CTRL_C) => return Err("the question was cancelled".into()),
            _ if line.len() >= LONGEST => return Err("the answer is too long".into()),
            _ => line.push(byte.as_slice()),
        }
    }
}

/// Where the program may be. An activation script of NixOS has none of these on its PATH.
const SYSTEMD_ASK_PASSWORD: [&str; 4] = [
    "/run/current-system/systemd/bin/systemd-ask-password",
    "/run/booted-system/systemd/bin/systemd-ask-password",
    "/usr/bin/systemd-ask-password",
    "/bin/systemd-ask-password",
];

fn by_systemd(question: &str, answer: Answer, seconds: u64) -> Result<SecretBytes, String> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).map(|directory| directory.join("systemd-ask-password"));
    let known = SYSTEMD_ASK_PASSWORD.iter().map(std::path::PathBuf::from);
    let Some(program) = on_path.chain(known).find(|program| program.is_file()) else {
        return Err("there is no terminal, and no systemd-ask-password, to ask on".into());
    };
    let mut command = Command::new(&program);
    command.arg(format!("--timeout={seconds}")).arg("--id=sops-install");
    if answer == Answer::Shown {
        command.arg("--echo=yes");
    }
    let output = command.arg(format!("{question}:")).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let mut line = SecretBytes::new(output.stdout);
    if !output.status.success() {
        return Err(format!("nobody answered systemd-ask-password within {seconds} seconds"));
    }
    if line.expose().ends_with(b"\n") {
        let length = line.len() - 1;
        line = SecretBytes::new(line.expose().get(..length).unwrap_or_default().to_vec());
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_has_an_end_and_is_never_none() {
        assert_eq!(patience(None), 90);
        assert_eq!(patience(Some("5")), 5);
        assert_eq!(patience(Some("0")), 1);
        assert_eq!(patience(Some(&u64::MAX.to_string())), 24 * 60 * 60);
        assert_eq!(patience(Some("soon")), 90);
    }
}
