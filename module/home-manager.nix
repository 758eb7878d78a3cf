# `sops` in home-manager, on Linux and macOS.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  inherit (pkgs.stdenv.hostPlatform) isDarwin isLinux;

  cfg = config.sops;
  qubes = cfg.gnupg.qubes-split-gpg;
  script = import ./common/script.nix { inherit cfg lib; };

  isEmpty = cfg.secrets == { } && cfg.templates == { };

  manifest = import ./common/manifest.nix { inherit cfg lib pkgs; } {
    inherit (cfg) secrets templates;
    secretsMountPoint = cfg.defaultSecretsMountPoint;
    symlinkPath = cfg.defaultSymlinkPath;
    userMode = true;
  };

  installer = pkgs.writeShellScript "sops-nix-user" ''
    set -e
    ${script.generateKeyIfWanted}exec ${script.program} -ignore-passwd ${manifest}
  '';

  systemctl = config.systemd.user.systemctlPath;

  # home-manager as a module of NixOS activates without this variable.
  userSystemctl = ''XDG_RUNTIME_DIR="''${XDG_RUNTIME_DIR:-/run/user/$(id -u)}" ${systemctl} --user'';

  failed = where: ''echo "sops: secrets are missing or old; ${where}" >&2'';

  restart =
    if isLinux then
      ''
        systemdStatus=$(${userSystemctl} is-system-running 2>&1 || true)
        case $systemdStatus in
          running | degraded)
            run env ${userSystemctl} restart sops-nix.service ||
              ${failed "see journalctl --user -u sops-nix.service"}
            ;;
          *)
            echo "sops: no user manager runs now; secrets are installed when it starts"
            ;;
        esac
        unset systemdStatus
      ''
    else
      # It is loaded already, with its new settings. A session without a desktop has no such agent.
      ''
        run /bin/launchctl kickstart -k "${agent.domain or "gui"}/$(/usr/bin/id -u)/${agent.config.Label}" ||
          ${failed "see ${logs}/stderr"}
      '';

  # Removes what the last configuration installed, where this one installs nothing. It is done with the program of the
  # generation that is being replaced: this one has none.
  cleanUp = ''
    sopsPrevious="''${oldGenPath:-}/home-path/bin/sops-install-secrets"
    if [ -x "$sopsPrevious" ] && [ -n "''${XDG_RUNTIME_DIR:-}" ]; then
      run "$sopsPrevious" -ignore-passwd ${manifest} || ${failed "the lines above say why"}
    fi
    unset sopsPrevious
  '';

  agent = config.launchd.agents.sops-nix;
  logs = "${config.home.homeDirectory}/Library/Logs/SopsNix";

  named =
    place:
    { config, ... }:
    {
      config.path = lib.mkOptionDefault "${place}/${config.name}";
    };

  # systemd takes a backslash before a quote.
  variable = name: value: ''"${lib.escape [ "\\" "\"" ] "${name}=${value}"}"'';
in
{
  imports = [
    ./common/options.nix
    ./common/systemd.nix
  ];

  options.sops = {
    secrets = mkOption { type = types.attrsOf (types.submodule (named cfg.defaultSymlinkPath)); };
    templates = mkOption {
      # As in sops-nix, whatever `defaultSymlinkPath` is.
      type = types.attrsOf (types.submodule (named "${config.xdg.configHome}/sops-nix/secrets/rendered"));
    };

    defaultSymlinkPath = mkOption {
      type = types.str;
      default = "${config.xdg.configHome}/sops-nix/secrets";
      defaultText = lib.literalExpression ''"''${config.xdg.configHome}/sops-nix/secrets"'';
      description = "The link to the live generation of secrets.";
    };

    defaultSecretsMountPoint = mkOption {
      type = types.str;
      default = "%r/secrets.d";
      description = "The directory of generations. `%r` is the user's runtime directory.";
    };

    gnupg.qubes-split-gpg = {
      enable = lib.mkEnableOption "decryption by another qube of Qubes OS, with Split GPG";
      domain = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "vault-gpg";
        description = "The qube that has the keys.";
      };
    };
  };

  config = lib.mkMerge [
    {
      sops.age.sshKeyPaths = lib.mkOptionDefault [ ];
      sops.gnupg.sshKeyPaths = lib.mkOptionDefault [ ];
    }

    (lib.mkIf (isEmpty && isLinux) {
      home.activation.sops-nix = lib.hm.dag.entryAfter [ "reloadSystemd" ] cleanUp;
    })

    (lib.mkIf (!isEmpty) {
      assertions = [
        {
          assertion = qubes.enable -> qubes.domain != null && qubes.domain != "";
          message = "sops: sops.gnupg.qubes-split-gpg.enable needs sops.gnupg.qubes-split-gpg.domain.";
        }
      ];

      sops.environment = {
        SOPS_GPG_EXEC = lib.mkIf qubes.enable (lib.mkDefault "qubes-gpg-client-wrapper");
        QUBES_GPG_DOMAIN = lib.mkIf qubes.enable (lib.mkDefault qubes.domain);
        # For plugins, `systemctl`, and what asks for passphrases.
        PATH = lib.mkDefault (
          lib.concatStringsSep ":" (
            map (plugin: "${lib.getBin plugin}/bin") cfg.age.plugins
            ++ (
              if isDarwin then
                [
                  "/usr/bin"
                  "/bin"
                  "/usr/sbin"
                  "/sbin"
                ]
              else
                [
                  (dirOf systemctl)
                  "/run/current-system/sw/bin"
                  "/usr/bin"
                  "/bin"
                ]
            )
          )
        );
      };

      # For `sops-install status` and the like, and for `cleanUp` of the next configuration.
      home.packages = [ cfg.package ];

      home.sessionVariables.SOPS_GPG_EXEC = lib.mkIf qubes.enable cfg.environment.SOPS_GPG_EXEC;

      systemd.user.services.sops-nix = lib.mkIf isLinux {
        Unit.Description = "Secrets";
        Service = {
          Type = "oneshot";
          Environment = lib.mapAttrsToList variable cfg.environment;
          ImportCredential = lib.optional (cfg.age.keyCredential != null) cfg.age.keyCredential;
          ExecStart = "${installer}";
        };
        # gpg's agent may have no way to ask before there is a desktop. It is tried without one, and again with it.
        Install.WantedBy = [
          "default.target"
        ]
        ++ lib.optional (cfg.gnupg.home != null) "graphical-session-pre.target";
      };

      launchd.agents.sops-nix = lib.mkIf isDarwin {
        enable = true;
        config = {
          Program = "${installer}";
          EnvironmentVariables = cfg.environment;
          RunAtLoad = true;
          KeepAlive = false;
          StandardOutPath = "${logs}/stdout";
          StandardErrorPath = "${logs}/stderr";
        };
      };

      home.activation.sops-nix = lib.hm.dag.entryAfter [
        "reloadSystemd"
        "setupLaunchAgents"
      ] restart;
    })
  ];
}
