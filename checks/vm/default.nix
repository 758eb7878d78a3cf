# Tests in virtual machines, one behaviour each:
#
#   nix build .#checks.x86_64-linux.NAME
{ pkgs }:
let
  machine = {
    imports = [ ../../module/nixos.nix ];
    sops = {
      defaultSopsFile = ../../tests/fixtures/encrypted/secrets.yaml;
      # A key of the tests, which everybody may read.
      environment.SOPS_AGE_KEY_FILE = "${../../tests/fixtures/keys/age.txt}";
    };
  };

  test =
    name: test:
    pkgs.testers.runNixOSTest {
      name = "sops-install-${name}";
      nodes.machine.imports = [
        machine
        test.machine
      ];
      testScript = ''
        token = "gho_Qx7vTHROWAWAY"
        machine.wait_for_unit("multi-user.target")
        ${test.script}
      '';
    };
in
builtins.mapAttrs (name: file: test name (import file)) {
  activation-script = ./activation-script.nix;
  changed-secret = ./changed-secret.nix;
  credential = ./credential.nix;
  failure = ./failure.nix;
  generated-key = ./generated-key.nix;
  last-secret = ./last-secret.nix;
  password = ./password.nix;
  sysinit = ./sysinit.nix;
  userborn = ./userborn.nix;
}
