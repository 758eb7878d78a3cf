# What NixOS and nix-darwin have beyond the shared options: owners, secrets for making users, and their two manifests.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  cfg = config.sops;
  writeManifest = import ./manifest.nix { inherit cfg lib pkgs; };

  # Where each platform puts its defaults of `owner` and `group`.
  ownership = text: {
    options = {
      owner = mkOption {
        type = types.nullOr text;
        defaultText = lib.literalMD "`null`; for secrets on nix-darwin `root`";
        description = "The user that the file belongs to. `null` leaves it to `uid`.";
      };
      uid = mkOption {
        type = types.nullOr types.int;
        default = 0;
        description = "The number of the owner, where `owner` is `null`. There need not be such a user.";
      };
      group = mkOption {
        type = types.nullOr text;
        defaultText = lib.literalMD "the owner's group; on nix-darwin `staff`";
        description = "The group that the file belongs to. `null` leaves it to `gid`.";
      };
      gid = mkOption {
        type = types.nullOr types.int;
        default = 0;
        description = "The number of the group, where `group` is `null`. There need not be such a group.";
      };
    };
  };

  early =
    { config, ... }:
    {
      options = {
        neededForUsers = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether the secret is installed before users and groups are made, as the hash of a password must be. It lies in
            {file}`/run/secrets-for-users` then, and belongs to root. nix-darwin sets no passwords, so it is of no use there.
          '';
        };
        sopsFileHash = mkOption {
          type = types.str;
          readOnly = true;
          default = lib.optionalString cfg.validateSopsFiles (builtins.hashFile "sha256" config.sopsFile);
          defaultText = lib.literalMD "the SHA-256 hash of `sopsFile`, or nothing without `validateSopsFiles`";
          description = "The hash of the encrypted file, for triggers that restart a unit when the file changes.";
        };
      };
      config.path = lib.mkOptionDefault (
        "/run/secrets${lib.optionalString config.neededForUsers "-for-users"}/${config.name}"
      );
    };

  rendered =
    { config, ... }:
    {
      config.path = lib.mkOptionDefault "/run/secrets/rendered/${config.name}";
    };

  secretsForUsers = lib.filterAttrs (_: secret: secret.neededForUsers) cfg.secrets;

  # A template can only name secrets of its own manifest.
  alsoInTemplates = lib.mapAttrs (_: secret: secret // { path = "/run/secrets/${secret.name}"; }) (
    lib.filterAttrs (name: _: isInTemplate name) secretsForUsers
  );

  isInTemplate =
    name:
    let
      inherit (cfg) placeholder placeholderAs;
      texts = map (texts: toString texts.${name}) ([ placeholder ] ++ lib.attrValues placeholderAs);
      without = lib.replaceStrings texts (map (_: "") texts);
    in
    lib.any (template: without template.content != template.content) (lib.attrValues cfg.templates);

  regularSecrets = lib.filterAttrs (_: secret: !secret.neededForUsers) cfg.secrets // alsoInTemplates;

  contradictions =
    kind:
    lib.concatMap (file: [
      {
        assertion = !(file.owner != null && file.uid != null && file.uid != 0);
        message = "sops: the ${kind} ${file.name} has both `owner` and `uid`. Keep one, or set `owner = null`.";
      }
      {
        assertion = !(file.group != null && file.gid != null && file.gid != 0);
        message = "sops: the ${kind} ${file.name} has both `group` and `gid`. Keep one, or set `group = null`.";
      }
    ]);

  ofOthers = lib.filter (secret: secret.owner != null && secret.owner != "root") (
    lib.attrValues secretsForUsers
  );
in
{
  options.sops = {
    secrets = mkOption {
      type = types.attrsOf (
        types.submodule [
          (ownership types.str)
          early
        ]
      );
    };

    templates = mkOption {
      type = types.attrsOf (
        types.submodule [
          (ownership types.singleLineStr)
          rendered
        ]
      );
    };

    installation = mkOption {
      type = types.attrsOf types.raw;
      internal = true;
      readOnly = true;
      default = {
        regular = {
          isEmpty = regularSecrets == { } && cfg.templates == { };
          arguments = "${config.system.build.sops-nix-manifest}";
          mark = "/run/secrets.d/.sops-install";
        };
        forUsers = {
          isEmpty = secretsForUsers == { };
          # No account is there yet.
          arguments = "-ignore-passwd ${config.system.build.sops-nix-users-manifest}";
          mark = "/run/secrets-for-users.d/.sops-install";
        };
      };
      description = "What is installed: for each manifest what the program is called with, and the mark of its store.";
    };
  };

  config = {
    # For `sops-install status` and the like, and for `cleanUp` of the next configuration.
    environment.systemPackages = lib.mkIf (
      !(cfg.installation.regular.isEmpty && cfg.installation.forUsers.isEmpty)
    ) [ cfg.package ];

    system.build = {
      sops-nix-manifest = writeManifest {
        secrets = regularSecrets;
        inherit (cfg) templates;
        secretsMountPoint = "/run/secrets.d";
        symlinkPath = "/run/secrets";
      };
      sops-nix-users-manifest = writeManifest {
        suffix = "-for-users";
        secrets = secretsForUsers;
        secretsMountPoint = "/run/secrets-for-users.d";
        symlinkPath = "/run/secrets-for-users";
      };
    };

    warnings = map (
      secret:
      "sops: the secret ${secret.name} is root's, not ${secret.owner}'s, because it is `neededForUsers`."
    ) ofOthers;

    assertions =
      contradictions "secret" (lib.attrValues cfg.secrets)
      ++ contradictions "template" (lib.attrValues cfg.templates)
      ++ [
        {
          assertion = lib.all (
            secret: (secret.uid == 0 || secret.owner == "root") && (secret.gid == 0 || secret.group == "root")
          ) (lib.attrValues secretsForUsers);
          message = "sops: secrets with `neededForUsers` are root's; no account is there yet. Leave out `uid` and `gid`.";
        }
      ];
  };
}
