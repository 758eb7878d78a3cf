//! The machine that identities ask: its files, its programs, and the person in front of it.

use super::ask::{self, Answer};
use super::read::read;
use crate::identity::host::{Call, Finished, Host};
use crate::secret::SecretBytes;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// This machine.
#[derive(Default)]
pub struct Machine {
    /// One question at a time, also where several files are opened at once.
    asking: Mutex<()>,
}

/// Variables that hold keys. No program that is run here needs them.
pub const SECRET_VARIABLES: [&str; 1] = ["SOPS_AGE_KEY"];

impl Host for Machine {
    fn read(&self, path: &Path) -> io::Result<SecretBytes> {
        read(path)
    }

    fn run(&self, call: &Call<'_>) -> io::Result<Finished> {
        let mut command = Command::new(&call.program);
        command.args(&call.arguments).envs(call.variables.iter().map(|(name, value)| (name, value)));
        for name in SECRET_VARIABLES {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // All three at once: a program that waits on one of them must not stop the others.
        let (output, complaint) = std::thread::scope(|scope| {
            let output = scope.spawn(|| collect(stdout));
            let complaint = scope.spawn(|| collect(stderr));
            if let Some(mut stdin) = stdin {
                // A program that ends without reading all of it says itself what is wrong.
                let _ = stdin.write_all(call.input);
            }
            (output.join(), complaint.join())
        });
        let joined = |result: std::thread::Result<io::Result<SecretBytes>>| {
            result.unwrap_or_else(|_| Err(io::Error::other("its output could not be read")))
        };
        let status = child.wait()?;
        let complaint = String::from_utf8_lossy(joined(complaint)?.expose()).trim().to_owned();
        Ok(Finished { succeeded: status.success(), output: joined(output)?, complaint })
    }

    fn ask(&self, question: &str) -> Result<SecretBytes, String> {
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        ask::ask(question, Answer::Hidden)
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let question = format!("{question} (y: {yes}, n: {})", no.unwrap_or("no"));
        let answer = ask::ask(&question, Answer::Shown).ok()?;
        Some(answer.expose().first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'y')))
    }

    fn show(&self, message: &str) {
        // Where standard error cannot be written, there is nobody to show it to.
        let _ = writeln!(io::stderr(), "sops-install: {}", crate::error::printable(message));
    }
}

fn collect(pipe: Option<impl Read>) -> io::Result<SecretBytes> {
    let mut bytes = SecretBytes::default();
    let mut chunk = zeroize::Zeroizing::new([0u8; 16 * 1024]);
    let Some(mut pipe) = pipe else { return Ok(bytes) };
    loop {
        match pipe.read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.push(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
