# `sops` on NixOS.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;

  cfg = config.sops;

  usesSysusers = options.systemd ? sysusers && config.systemd.sysusers.enable;
  usesUserborn = options.services ? userborn && config.services.userborn.enable;

  # A host key that is itself one of the secrets cannot decrypt them.
  hostKeys =
    type:
    map (key: key.path) (
      lib.filter (
        key: key.type == type && !lib.hasPrefix "/run/secrets" key.path
      ) config.services.openssh.hostKeys
    );
  hostKeysOf = type: lib.optionals config.services.openssh.enable (hostKeys type);

  ownership =
    { config, ... }:
    {
      config = {
        owner = lib.mkOptionDefault null;
        group = lib.mkOptionDefault (groupOf config.owner);
      };
    };
  groupOf =
    owner:
    if owner == null then
      null
    else
      config.users.users.${owner}.group
        or (throw "sops: users.users has no ${owner}, who is to own a secret. Set `group` too if the user comes from elsewhere.");
in
{
  imports = [
    ./common/options.nix
    ./common/system.nix
    ./common/systemd.nix
    ./nixos/activation-scripts.nix
    ./nixos/services.nix
    ./nixos/units.nix
    (lib.mkRenamedOptionModule [ "sops" "gnupgHome" ] [ "sops" "gnupg" "home" ])
    (lib.mkRenamedOptionModule [ "sops" "sshKeyPaths" ] [ "sops" "gnupg" "sshKeyPaths" ])
  ];

  options.sops = {
    secrets = mkOption { type = types.attrsOf (types.submodule ownership); };
    templates = mkOption { type = types.attrsOf (types.submodule ownership); };

    useTmpfs = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether secrets are kept in a tmpfs rather than a ramfs. A tmpfs has a size and can be swapped out: before Linux 6.4
        secrets may get to the swap device, which should be encrypted then.
      '';
    };

    useSystemdActivation = mkOption {
      type = types.bool;
      default = usesSysusers || usesUserborn;
      defaultText = lib.literalMD "whether systemd-sysusers or userborn makes the users";
      description = ''
        Whether a systemd service installs the secrets rather than an activation script. The service waits for the mounts
        that its keys are on; more can be added to {option}`systemd.services.sops-install-secrets`.
      '';
    };

    systemdMakesUsers = mkOption {
      type = types.bool;
      internal = true;
      readOnly = true;
      default = usesSysusers || usesUserborn;
      description = "Whether users are made by a systemd service, so that secrets for them must be installed by one too.";
    };
  };

  config = {
    sops.age.sshKeyPaths = lib.mkOptionDefault (hostKeysOf "ed25519");
    sops.gnupg.sshKeyPaths = lib.mkOptionDefault (hostKeysOf "rsa");

    assertions = [
      {
        assertion = usesSysusers && !cfg.installation.forUsers.isEmpty -> config.users.mutableUsers;
        message = ''
          sops: systemd-sysusers reads hashes of passwords from secrets with `neededForUsers` only where
          users.mutableUsers is set.
        '';
      }
      {
        assertion =
          cfg.age.keyCredential != null
          ->
            (cfg.installation.regular.isEmpty || cfg.useSystemdActivation)
            && (cfg.installation.forUsers.isEmpty || cfg.systemdMakesUsers);
        message = ''
          sops: sops.age.keyCredential needs a systemd service, because an activation script has no credentials. Set
          sops.useSystemdActivation; secrets with `neededForUsers` need systemd.sysusers or services.userborn.
        '';
      }
    ]
    ++ lib.optionals cfg.validateSopsFiles (
      lib.concatLists (
        lib.mapAttrsToList (name: secret: [
          {
            assertion = lib.pathExists secret.sopsFile;
            message = "sops: there is no file ${toString secret.sopsFile}, which sops.secrets.\"${name}\" is to come from.";
          }
          {
            assertion = lib.isPath secret.sopsFile || lib.hasPrefix builtins.storeDir "${secret.sopsFile}";
            message = ''
              sops: ${secret.sopsFile}, which sops.secrets."${name}" is to come from, is not in the Nix store, so the build
              cannot check it. Name it as a path, without quotes, or set sops.validateSopsFiles = false.
            '';
          }
        ]) cfg.secrets
      )
    );
  };
}
