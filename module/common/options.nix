# The options that NixOS, home-manager and nix-darwin share, and what must hold for them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  cfg = config.sops;
  placeholder = import ./placeholder.nix;

  outsideStore = lib.mkOptionType {
    name = "pathNotInStore";
    description = "path not in the Nix store";
    descriptionClass = "noun";
    check = path: !lib.path.hasStorePathPrefix (/. + path);
    merge = lib.mergeEqualOption;
  };

  stringLike = types.mkOptionType {
    name = "coercibleToString";
    description = "value that can be coerced to string";
    check = lib.strings.isConvertibleWithToString;
    merge = lib.mergeEqualOption;
  };

  keys = {
    gnupgHome = cfg.gnupg.home != null;
    gnupgSsh = cfg.gnupg.sshKeyPaths != [ ];
    # Not every platform has these two.
    qubes = cfg.gnupg.qubes-split-gpg.enable or false;
    credential = cfg.age.keyCredential or null != null;
    ageFile = cfg.age.keyFile != null;
    ageSsh = cfg.age.sshKeyPaths != [ ];
    variables = lib.any (lib.hasPrefix "SOPS_AGE_") (lib.attrNames cfg.environment);
  };
in
{
  options.sops = {
    secrets = mkOption {
      type = types.attrsOf (types.submodule (import ./secret.nix { inherit cfg lib; }));
      default = { };
      example = lib.literalExpression ''
        {
          "github/oauth_token" = { };
          npmrc.path = "/home/alice/.npmrc";
        }
      '';
      description = "The secrets to install, by name.";
    };

    templates = mkOption {
      type = types.attrsOf (types.submodule (import ./template.nix { inherit lib pkgs; }));
      default = { };
      description = "Files made of text and secrets, by name.";
    };

    placeholder = mkOption {
      type = types.attrsOf stringLike;
      default = { };
      visible = false;
      description = "By secret, the text that stands for it in a template.";
    };

    placeholderAs = mkOption {
      type = types.attrsOf (types.attrsOf types.str);
      readOnly = true;
      default = lib.genAttrs placeholder.escapes (
        escape: lib.mapAttrs (name: _: placeholder.escaped escape name) cfg.secrets
      );
      defaultText = lib.literalMD "a text for each escape and secret";
      example = lib.literalExpression ''{"password": ''${config.sops.placeholderAs.json."db/password"}}'';
      description = ''
        By escape and secret, the text that stands for the secret in a template so that the reader of the file gets it
        back unharmed: `json`, a JSON string with its quotes; `shell`, one word of a shell; `systemd-env`, a value for
        `EnvironmentFile=`; `url`, a part of a URL; `base64`.
      '';
    };

    defaultSopsFile = mkOption {
      type = types.path;
      example = lib.literalExpression "./secrets.yaml";
      description = "The encrypted file of secrets that name none.";
    };

    defaultSopsFormat = mkOption {
      type = types.str;
      default = "yaml";
      description = "The format of secrets that name none.";
    };

    defaultSopsKey = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The key of secrets that name none. `null` is the secret's name, the empty key a whole file.";
    };

    validateSopsFiles = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether the build checks that the encrypted files hold what is asked of them. It takes no key, but the files must
        be in the Nix store.
      '';
    };

    hostRecipients = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI… root@host" ];
      description = ''
        The public keys of this machine, age or SSH. They go into the manifest, for checking at build time that every
        encrypted file names one of them as a recipient. Needs {option}`sops.validateSopsFiles`.
      '';
    };

    onError = mkOption {
      type = types.enum [
        "keep"
        "abort"
      ];
      default = "keep";
      description = ''
        When a secret fails: `keep` leaves that one as it was and installs all others, `abort` installs nothing. Either way
        the installation counts as failed.
      '';
    };

    keepGenerations = mkOption {
      type = types.ints.unsigned;
      default = 1;
      description = "How many generations of secrets are kept. 0 keeps all.";
    };

    log = mkOption {
      type = types.listOf (
        types.enum [
          "keyImport"
          "secretChanges"
        ]
      );
      default = [
        "keyImport"
        "secretChanges"
      ];
      description = "What is told: each key that is used, and which secrets change.";
    };

    environment = mkOption {
      type = types.attrsOf (types.either types.str types.path);
      default = { };
      example = {
        SOPS_AGE_KEY_FILE = "/mnt/usb/key.txt";
      };
      description = ''
        Variables for the installer, and for the plugins and gpg that it runs. Where a shell script sets them, each value
        stands between single quotes as it is.
      '';
    };

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../../package.nix { };
      defaultText = lib.literalMD "the package of this repository";
      description = "The package of the installer.";
    };

    validationPackage = mkOption {
      type = types.package;
      default =
        if pkgs.stdenv.buildPlatform == pkgs.stdenv.hostPlatform then
          cfg.package
        else
          pkgs.pkgsBuildHost.callPackage ../../package.nix { };
      defaultText = lib.literalMD "{option}`sops.package`, built for the machine that builds";
      description = "The package whose program checks the manifest at build time.";
    };

    age = {
      keyFile = mkOption {
        type = types.nullOr outsideStore;
        default = null;
        example = "/var/lib/sops-nix/key.txt";
        description = "A file of age identities on the machine.";
      };

      generateKey = mkOption {
        type = types.bool;
        default = false;
        description = "Whether to make an age identity at `keyFile` if there is no such file.";
      };

      sshKeyPaths = mkOption {
        type = types.listOf types.path;
        defaultText = lib.literalMD "OpenSSH's host keys of this kind on NixOS and nix-darwin, none in home-manager";
        description = "SSH private keys on the machine, Ed25519 or RSA, to be used for age.";
      };

      plugins = mkOption {
        type = types.listOf types.package;
        default = [ ];
        example = lib.literalExpression "[ pkgs.age-plugin-yubikey ]";
        description = "Packages of age plugins.";
      };
    };

    gnupg = {
      home = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/root/.gnupg";
        description = "gpg's home directory on the machine. It excludes SSH keys and `age.keyFile`.";
      };

      sshKeyPaths = mkOption {
        type = types.listOf types.path;
        defaultText = lib.literalMD "OpenSSH's host keys of this kind on NixOS and nix-darwin, none in home-manager";
        description = "RSA SSH private keys on the machine, to be used as PGP keys.";
      };

      package = mkOption {
        type = types.package;
        default = pkgs.gnupg;
        defaultText = lib.literalExpression "pkgs.gnupg";
        description = "The package of gpg.";
      };
    };
  };

  config = {
    sops.placeholder = lib.mkIf (cfg.templates != { }) (
      lib.mapAttrs (name: _: lib.mkDefault (placeholder.plain name)) cfg.secrets
    );

    sops.environment = lib.mkIf (cfg.secrets != { } && (keys.gnupgHome || keys.gnupgSsh)) {
      SOPS_GPG_EXEC = lib.mkDefault "${cfg.gnupg.package}/bin/gpg";
    };

    assertions = lib.mkIf (cfg.secrets != { }) [
      {
        assertion = lib.any (is: is) (lib.attrValues keys);
        message = ''
          sops: there is no key to decrypt with. Set sops.age.keyFile, sops.age.sshKeyPaths or sops.gnupg.home, or on NixOS
          services.openssh.enable, which makes host keys.
        '';
      }
      {
        assertion =
          lib.count (is: is) [
            keys.gnupgHome
            keys.gnupgSsh
            keys.qubes
          ] <= 1;
        message = ''
          sops: sops.gnupg.home, sops.gnupg.sshKeyPaths and sops.gnupg.qubes-split-gpg exclude each other. Keep one. Host
          keys of OpenSSH are in sops.gnupg.sshKeyPaths by default; `sops.gnupg.sshKeyPaths = [ ]` takes them out.
        '';
      }
      {
        assertion = !(keys.gnupgHome && keys.ageFile);
        message = "sops: sops.gnupg.home and sops.age.keyFile exclude each other. Keep one.";
      }
      {
        assertion = cfg.age.generateKey -> keys.ageFile;
        message = "sops: sops.age.generateKey needs sops.age.keyFile, the place of the key.";
      }
    ];
  };
}
