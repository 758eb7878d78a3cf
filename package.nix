{
  installShellFiles,
  lib,
  rustPlatform,
  stdenv,
}:
let
  manifest = lib.importTOML ./Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./.cargo
      ./Cargo.lock
      ./Cargo.toml
      ./build.rs
      ./core
      ./examples/manual.rs
      ./gcm
      ./link
      ./src
      ./tests/fixtures
    ];
  };

  cargoLock.lockFile = ./Cargo.lock;

  # The tests of the built programs need sops, gpg and root.
  cargoTestFlags = [
    "--lib"
    "--bins"
  ];

  nativeBuildInputs = [ installShellFiles ];

  # It needs the programs that it describes, so it is built with them.
  cargoBuildFlags = [
    "--bins"
    "--example"
    "manual"
  ];
  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    "$(find target -path '*/release/examples/manual' -type f -print -quit)" manual
    installManPage manual/man1/*
    installShellCompletion manual/completions/*
  '';

  meta = {
    inherit (manifest.package) description;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "sops-install";
    platforms = lib.platforms.linux;
  };
}
