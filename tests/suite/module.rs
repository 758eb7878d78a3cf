//! What the Nix code writes, the program installs.

use crate::common::{Sandbox, fixture, has, skip};
use std::path::Path;
use std::process::Command;

#[test]
fn a_manifest_that_nix_wrote_is_installed() {
    if !has("nix-instantiate") {
        return skip("module::a_manifest_that_nix_wrote_is_installed", "nix-instantiate");
    }
    let sandbox = Sandbox::new();
    let text = |path: &Path| path.to_str().unwrap().trim_end_matches('/').to_owned();
    let output = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json", "checks/manifest.nix"])
        .args(["--argstr", "here", &text(&sandbox.path(""))])
        .args(["--argstr", "fixtures", &text(&fixture(""))])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // Evaluating needs a store, but nothing is ever put into it.
        .env("NIX_STATE_DIR", sandbox.path("nix/state"))
        .env("NIX_STORE_DIR", sandbox.path("nix/store"))
        .env("NIX_LOG_DIR", sandbox.path("nix/log"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest = sandbox.write("manifest.json", &output.stdout);
    sandbox.install(&manifest);
    assert_eq!(sandbox.read("run/secrets/github/oauth_token"), b"gho_Qx7vTHROWAWAY");
    assert_eq!(sandbox.read("run/secrets/db/password"), b"p<a>s&s");
    assert_eq!(sandbox.read("home/.npmrc"), sandbox.read("run/secrets/npmrc"));
    assert_eq!(sandbox.read("home/app.conf"), b"password = p<a>s&s\n");
}
