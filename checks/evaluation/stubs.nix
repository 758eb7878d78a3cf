# As much of NixOS, home-manager, nix-darwin and nixpkgs as the modules touch. Nothing here is built: a derivation is an
# attribute set with a path, a script is its text, and a manifest stands as a whole where its path would.
{ lib }:
let
  inherit (lib) mkOption types;

  derivation = name: {
    type = "derivation";
    inherit name;
    outPath = "/@store@/${name}";
  };

  # Lists are joined, as in a unit of NixOS.
  setting = lib.mkOptionType {
    name = "setting";
    merge =
      location: definitions:
      if lib.any (definition: lib.isList definition.value) definitions then
        lib.concatMap (definition: lib.toList definition.value) definitions
      else
        lib.mergeEqualOption location definitions;
  };

  list = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  strings = mkOption {
    type = types.attrsOf types.str;
    default = { };
  };
  settings = mkOption {
    type = types.attrsOf setting;
    default = { };
  };
  text = mkOption {
    type = types.str;
    default = "";
  };
  anything = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  submodules =
    options:
    mkOption {
      type = types.attrsOf (types.submodule { inherit options; });
      default = { };
    };

  packages = mkOption {
    type = types.listOf types.package;
    default = [ ];
  };

  activationScripts = submodules {
    text = mkOption {
      type = types.lines;
      default = "";
    };
    deps = list;
    supportsDryActivation = mkOption {
      type = types.bool;
      default = false;
    };
  };

  assertions = {
    assertions = mkOption {
      type = types.listOf types.raw;
      default = [ ];
    };
    warnings = list;
  };
in
{
  pkgs =
    system:
    let
      platform = {
        inherit system;
        isDarwin = lib.hasSuffix "darwin" system;
        isLinux = lib.hasSuffix "linux" system;
      };
      pkgs = {
        inherit lib;
        stdenv = {
          buildPlatform = platform;
          hostPlatform = platform;
        }
        // platform;
        pkgsBuildHost = pkgs;
        callPackage =
          file: arguments:
          let
            function = import file;
          in
          if lib.hasSuffix "package.nix" (toString file) then
            derivation "sops-install"
          else
            function (lib.intersectAttrs (lib.functionArgs function) pkgs // arguments);
        writeTextFile =
          { name, text, ... }@file:
          derivation name
          // file
          // {
            outPath = if lib.hasPrefix "manifest" name then "<<<${text}>>>" else "/@store@/${name}[${text}]";
          };
        writeText =
          name: text: "/@store@/${name}${lib.optionalString (lib.hasSuffix ".plist" name) "[${text}]"}";
        writeShellScript = name: text: "/@store@/${name}[${text}]";
        writeScriptBin = pkgs.writeShellScript;
        runCommand =
          name: _: text:
          pkgs.writeShellScript name text;
        formats.ini = _: {
          type = types.attrsOf types.anything;
          generate = name: _: derivation name;
        };
      }
      // lib.genAttrs [
        "age"
        "age-plugin-yubikey"
        "coreutils"
        "emptyDirectory"
        "gnupg"
        "sd-switch"
        "systemd"
      ] derivation;
    in
    pkgs;

  nixos.options = assertions // {
    environment.systemPackages = packages;
    users = {
      mutableUsers = mkOption {
        type = types.bool;
        default = true;
      };
      users = submodules {
        group = text;
      };
    };
    services = {
      openssh = {
        enable = lib.mkEnableOption "OpenSSH";
        hostKeys = mkOption {
          type = types.listOf (types.attrsOf types.str);
          default = [
            {
              type = "rsa";
              path = "/etc/ssh/ssh_host_rsa_key";
            }
            {
              type = "ed25519";
              path = "/etc/ssh/ssh_host_ed25519_key";
            }
          ];
        };
      };
      userborn.enable = lib.mkEnableOption "userborn";
    };
    systemd = {
      sysusers.enable = lib.mkEnableOption "sysusers";
      services = submodules {
        description = text;
        after = list;
        before = list;
        conflicts = list;
        wants = list;
        wantedBy = list;
        requiredBy = list;
        path = mkOption {
          type = types.listOf types.raw;
          default = [ ];
          apply = map toString;
        };
        environment = strings;
        unitConfig = settings;
        serviceConfig = settings;
      };
    };
    system = {
      inherit activationScripts;
      build = anything;
      dryActivationScript = text;
    };
  };

  homeManager.options = assertions // {
    home = {
      username = text // {
        default = "alice";
      };
      homeDirectory = text // {
        default = "/@here@/home";
      };
      sessionVariables = strings;
      inherit packages;
      activation = mkOption {
        type = types.attrsOf (
          types.coercedTo types.str (data: { inherit data; }) (types.attrsOf types.anything)
        );
        default = { };
      };
    };
    xdg.configHome = text // {
      default = "/@here@/home/.config";
    };
    systemd.user = {
      systemctlPath = text // {
        default = "/@store@/systemd/bin/systemctl";
      };
      services = mkOption {
        type = types.attrsOf (types.attrsOf (types.attrsOf setting));
        default = { };
      };
    };
    launchd.agents = mkOption {
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            options = {
              enable = lib.mkEnableOption "the agent";
              config = anything;
            };
            config.config.Label = lib.mkDefault "org.nix-community.home.${name}";
          }
        )
      );
      default = { };
    };
  };

  darwin.options = assertions // {
    environment.systemPackages = packages;
    system = {
      inherit activationScripts;
      build = anything;
    };
    launchd.daemons = submodules {
      command = text;
      serviceConfig = settings;
    };
  };
}
