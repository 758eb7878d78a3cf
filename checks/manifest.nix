# Evaluates the manifest writer on an example; tests/suite/module.rs installs what comes out.
#
#   nix-instantiate --eval --strict --json checks/manifest.nix --argstr here /tmp/x --argstr fixtures $PWD/tests/fixtures
{ here, fixtures }:

let
  written = import ../module/common/manifest.nix {
    defaultSopsFile = "${fixtures}/encrypted/secrets.yaml";
    ageKeyFile = "${fixtures}/keys/age.txt";
    secretsMountPoint = "${here}/run/secrets.d";
    symlinkPath = "${here}/run/secrets";
    userMode = true;
    secrets = {
      "github/oauth_token" = { };
      npmrc.path = "${here}/home/.npmrc";
      "db/password" = {
        format = "json";
        mode = "0440";
        sopsFile = "${fixtures}/encrypted/app.json";
      };
    };
    templates."app.conf" = {
      content = "password = ${written.placeholder "db/password"}\n";
      path = "${here}/home/app.conf";
    };
  };
in
written.manifest
