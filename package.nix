{ lib, rustPlatform }:
let
  manifest = lib.importTOML ./Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.lock
      ./Cargo.toml
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
