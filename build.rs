//! How the release programs are linked on Linux: to the C library alone, and without what takes time to load or only unwinding
//! needs.

use std::env::{VarError, var};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn main() -> Result<(), VarError> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    let is = |name: &str, value: &str| var(name).is_ok_and(|is| is == value);
    // What is built for another machine cannot be tried here. One with the C library linked in can.
    let runs_here = var("HOST").is_ok_and(|host| is("TARGET", &host) || is("TARGET", &host.replace("-gnu", "-musl")));
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") || !runs_here {
        return Ok(());
    }
    if is("CARGO_CFG_TARGET_ENV", "gnu") {
        // GCC's unwinder, which a panic needs to say where it was, is a library of its own otherwise.
        let compiler = var("CC").unwrap_or_else(|_| "cc".to_owned());
        if let Some(directory) = said(&compiler, "-print-file-name=libgcc_eh.a").as_deref().and_then(directory) {
            println!("cargo:rustc-link-search=native={directory}");
            println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
        }
    }
    let root = var("CARGO_MANIFEST_DIR")?;
    println!("cargo:rerun-if-changed=link");
    let no_unwinding = format!("-Wl,--no-eh-frame-hdr,-T,{root}/link/no-unwinding.ld");
    // A quarter of a megabyte less, which would be read each time that the program starts. glibc knows them since 2.36.
    let packed_relocations = "-Wl,-z,pack-relative-relocs".to_owned();
    let first = format!("-Wl,-T,{root}/link/first.ld");
    let mut arguments = Vec::new();
    for argument in [no_unwinding, packed_relocations, first] {
        arguments.push(argument);
        if !links_with(&arguments)? {
            arguments.pop();
        }
    }
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    Ok(())
}

/// Whether a program can be linked with these, and runs: there are several linkers and loaders, and not all know all of it.
fn links_with(arguments: &[String]) -> Result<bool, VarError> {
    let out = PathBuf::from(var("OUT_DIR")?);
    let (source, program) = (out.join("empty.rs"), out.join("empty"));
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let linker = var("RUSTC_LINKER").map(|linker| format!("-Clinker={linker}"));
    let mut rustc = Command::new(var("RUSTC")?);
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty())).args(linker);
    rustc.arg("--target").arg(var("TARGET")?).args(["-Cpanic=abort", "-o"]).arg(&program);
    rustc.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}"))).arg(&source);
    Ok(std::fs::write(&source, "fn main() {}").is_ok()
        && rustc.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        && Command::new(&program).status().is_ok_and(|status| status.success()))
}

/// What a program says; `None` where it is not there or fails.
fn said(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    output.status.success().then_some(output.stdout).and_then(|said| String::from_utf8(said).ok())
}

/// The directory of a file, unless its name is all that is said of it: then the compiler does not have it.
fn directory(file: &str) -> Option<&str> {
    Path::new(file.trim()).parent()?.to_str().filter(|directory| !directory.is_empty())
}
