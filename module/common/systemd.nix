# What NixOS and home-manager have because of systemd.
{ lib, ... }:
let
  inherit (lib) mkOption types;

  units.options = {
    restartUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "sshd.service" ];
      description = "Units to restart when the file changes or goes, once each and after all files are in place.";
    };
    reloadUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "nginx.service" ];
      description = "Units to reload when the file changes or goes, once each and after all files are in place.";
    };
  };
in
{
  options.sops = {
    secrets = mkOption { type = types.attrsOf (types.submodule units); };
    templates = mkOption { type = types.attrsOf (types.submodule units); };

    age.keyCredential = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "host-key";
      description = ''
        The name of a systemd credential that holds an age identity or an SSH key. The installer's unit takes it from where
        systemd looks for credentials, such as {file}`/etc/credstore.encrypted`; `systemd-creds encrypt` puts it there.
      '';
    };
  };
}
