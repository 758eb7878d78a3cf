//! The least that an installation can take: reads the input, and makes, writes, chowns and closes the same files. It knows
//! what to write from a list that `inputs` made, so it parses, decrypts and checks nothing.
//!
//! With `--ciphers` it does to each file what no reader of sops files can leave out: AES-256-GCM and SHA-512 of as many
//! bytes as are written.
//!
//! The list: the files to read, a line each; an empty line; and for each file to write its name, a tab and its size.

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use sha2::{Digest, Sha512};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (ciphers, list, into) = match arguments.as_slice() {
        [list, into] => (false, list, into),
        [flag, list, into] if flag == "--ciphers" => (true, list, into),
        _ => return Err(io::Error::other("usage: bench-floor [--ciphers] LIST DIRECTORY")),
    };
    let list = fs::read_to_string(list)?;
    let mut lines = list.lines();
    for path in lines.by_ref().take_while(|line| !line.is_empty()) {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len() as usize;
        // What is read must have been somewhere, or the kernel copies nothing.
        let mut bytes = Vec::with_capacity(size + 1);
        file.read_to_end(&mut bytes)?;
        std::hint::black_box(&bytes);
    }
    let files: Vec<(&str, usize)> = lines
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, size)| Some((name, size.parse().ok()?)))
        .collect();
    let mut bytes = vec![0; files.iter().map(|(_, size)| *size).max().unwrap_or_default()];
    for (name, size) in files {
        let bytes = &mut bytes[..size];
        if ciphers {
            let cipher = Aes256Gcm::new(&[7; 32].into());
            let tag = cipher.encrypt_in_place_detached(Nonce::from_slice(&[7; 12]), b"", bytes);
            std::hint::black_box((tag.map_err(|error| io::Error::other(error.to_string()))?, Sha512::digest(&*bytes)));
        }
        let mut file = File::options().write(true).create_new(true).mode(0o0).open(Path::new(into).join(name))?;
        file.write_all(bytes)?;
        fchown(&file, Some(0), Some(0))?;
    }
    Ok(())
}
