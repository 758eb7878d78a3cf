# `sops` on nix-darwin.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  cfg = config.sops;
  script = import ./common/script.nix { inherit cfg lib; };

  # /run is empty after a boot, and an activation comes only with a switch. So both install.
  installer =
    { arguments, ... }:
    pkgs.writeShellScript "sops-install" (
      "set -e\n"
      + script.generateKeyIfWanted
      + script.withEnvironment cfg.environment "${script.program} ${arguments}"
    );

  # A failure is told, and does not keep the rest of the activation from being done.
  activate =
    installation:
    if installation.isEmpty then
      script.cleanUp installation
    else
      ''
        ${installer installation} || echo "sops: secrets are missing or old; the lines above say why" >&2
      '';

  daemon = installation: {
    command = "${installer installation}";
    serviceConfig = {
      RunAtLoad = true;
      KeepAlive = false;
      StandardErrorPath = "/var/log/sops-install.log";
    };
  };
in
{
  imports = [
    ./common/options.nix
    ./common/system.nix
  ];

  options.sops = {
    secrets = mkOption {
      type = types.attrsOf (
        types.submodule {
          config = {
            owner = lib.mkOptionDefault "root";
            group = lib.mkOptionDefault "staff";
          };
        }
      );
    };

    templates = mkOption {
      type = types.attrsOf (
        types.submodule (
          { config, ... }:
          {
            config = {
              owner = lib.mkOptionDefault null;
              group = lib.mkOptionDefault (if config.owner == null then null else "staff");
            };
          }
        )
      );
    };
  };

  config = {
    sops.age.sshKeyPaths = lib.mkOptionDefault [ "/etc/ssh/ssh_host_ed25519_key" ];
    sops.gnupg.sshKeyPaths = lib.mkOptionDefault [ "/etc/ssh/ssh_host_rsa_key" ];

    system.activationScripts.postActivation.text = lib.mkAfter (
      activate cfg.installation.forUsers + activate cfg.installation.regular
    );

    launchd.daemons = {
      sops-install-secrets = lib.mkIf (!cfg.installation.regular.isEmpty) (
        daemon cfg.installation.regular
      );
      sops-install-secrets-for-users = lib.mkIf (!cfg.installation.forUsers.isEmpty) (
        daemon cfg.installation.forUsers
      );
    };
  };
}
