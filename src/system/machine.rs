//! The machine that identities ask: its files, its programs, and the person in front of it.

use super::ask::{self, Answer};
use super::process::prepare_to_wait;
use super::read::read;
use crate::error::printable;
use crate::identity::host::{Call, Finished, Host, Waiting};
use crate::secret::SecretBytes;
use crate::voice::{Level, Voice};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// This machine.
pub struct Machine {
    voice: Voice,
    /// One question at a time, also where several files are opened at once.
    asking: Mutex<()>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new(Voice::plain("sops-install"))
    }
}

impl Machine {
    /// A machine whose messages have this voice.
    pub fn new(voice: Voice) -> Self {
        Self { voice, asking: Mutex::new(()) }
    }
}

/// How long a person waits without being told for what.
const PATIENCE: Duration = Duration::from_secs(1);

/// Variables that hold keys. The program takes them out of its environment before it does anything else, so that no
/// program that it runs gets them.
pub const SECRET_VARIABLES: [&str; 1] = ["SOPS_AGE_KEY"];

impl Host for Machine {
    fn read(&self, path: &Path) -> io::Result<SecretBytes> {
        read(path)
    }

    fn run(&self, call: &Call<'_>) -> io::Result<Finished> {
        let program = Path::new(&call.program).file_name().unwrap_or(&call.program).to_string_lossy();
        let _waiting = self.wait_for(&program);
        let mut command = Command::new(&call.program);
        command.args(&call.arguments).envs(call.variables.iter().map(|(name, value)| (name, value)));
        let ((output, output_end), (complaint, complaint_end)) = (io::pipe()?, io::pipe()?);
        command.stdin(Stdio::piped()).stdout(output_end).stderr(complaint_end);
        // All three streams at once: a program that waits on one of them must not stop the others. The threads come first:
        // where they cannot be had, no program was started.
        thread::scope(move |scope| {
            let collect = |pipe| thread::Builder::new().spawn_scoped(scope, || collect(pipe));
            let (output, complaint) = (collect(output)?, collect(complaint)?);
            let mut child = command.spawn()?;
            // It holds the writing ends of the pipes; they would never be at their end.
            drop(command);
            if let Some(mut stdin) = child.stdin.take() {
                // A program that ends without reading all of it says itself what is wrong.
                let _ = stdin.write_all(call.input);
            }
            let (output, complaint) = (joined(output), joined(complaint));
            let status = child.wait()?;
            Ok(Finished { succeeded: status.success(), output: output?, complaint: last_line(&complaint?) })
        })
    }

    fn wait_for(&self, what: &str) -> Waiting {
        prepare_to_wait();
        let (end, ended) = mpsc::channel();
        let message = format!("waiting for {what}, which may want a passphrase, a PIN or a touch");
        let told = self.voice.told(Level::Info, &printable(&message));
        let wait = move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // Where standard error cannot be written, there is nobody to tell.
                let _ = io::stderr().write_all(told.as_bytes());
            }
        };
        // Without a thread nobody is told, and all else is done.
        match thread::Builder::new().spawn(wait) {
            Ok(_) => Waiting::until_dropped(end),
            Err(_) => Waiting::default(),
        }
    }

    fn ask(&self, question: &str) -> Result<SecretBytes, String> {
        prepare_to_wait();
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let _waiting = (!ask::is_seen()).then(|| self.wait_for("systemd-ask-password"));
        ask::ask(question, Answer::Hidden)
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        prepare_to_wait();
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let question = format!("{question} (y: {yes}, n: {})", no.unwrap_or("no"));
        let answer = ask::ask(&question, Answer::Shown).ok()?;
        Some(answer.expose().first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'y')))
    }

    fn show(&self, message: &str) {
        // Where standard error cannot be written, there is nobody to show it to.
        let _ = io::stderr().write_all(self.voice.told(Level::Info, &printable(message)).as_bytes());
    }
}

fn joined(thread: ScopedJoinHandle<'_, io::Result<SecretBytes>>) -> io::Result<SecretBytes> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("its output could not be read")))
}

/// The last line that is not blank, without control characters.
fn last_line(text: &SecretBytes) -> String {
    let text = String::from_utf8_lossy(text.expose());
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map_or("it said nothing".to_owned(), printable)
}

fn collect(mut pipe: impl Read) -> io::Result<SecretBytes> {
    let mut bytes = SecretBytes::default();
    let mut chunk = zeroize::Zeroizing::new([0u8; 16 * 1024]);
    loop {
        match pipe.read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.push(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Finished {
        let (program, arguments) = ("sh".into(), vec!["-c".into(), script.into()]);
        Machine::default().run(&Call { program, arguments, variables: vec![], input: b"input" }).unwrap()
    }

    #[test]
    fn a_program_is_fed_and_heard_to_its_end() {
        let finished = run("cat; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2");
        assert!(finished.succeeded);
        assert_eq!((finished.output.expose().starts_with(b"input"), finished.output.len()), (true, 300_005));
        assert!(!run("exit 3").succeeded);
    }

    #[test]
    fn what_a_program_says_is_one_line_without_control_characters() {
        assert_eq!(run(r"printf 'first\nlast \033[31m\r\n \n' >&2").complaint, r"last \u{1b}[31m");
        assert_eq!(run("exit 1").complaint, "it said nothing");
    }
}
