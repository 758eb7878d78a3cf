# Secrets as credentials of services.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;

  cfg = config.sops;

  file =
    { config, ... }:
    {
      options = {
        services = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "myapp" ];
          description = ''
            Services that get the file as a systemd credential. Each is started after the installer and restarted when the
            file changes. It reads the file at {file}`$CREDENTIALS_DIRECTORY/NAME`, which is
            {file}`/run/credentials/myapp.service/NAME`; in a unit's settings `%d/NAME`. NAME is `credential`. The service
            may run as any user; `owner` and `mode` do not matter to it.
          '';
        };
        credential = mkOption {
          type = types.str;
          default = lib.replaceStrings [ "/" ] [ "_" ] config.name;
          defaultText = lib.literalMD "`name`, with `_` in place of each slash";
          description = "The name of the credential.";
        };
      };
      config.restartUnits = lib.mkIf (config.services != [ ]) (
        map (service: "${unitName service}.service") config.services
      );
    };

  unitName = lib.removeSuffix ".service";

  grants = lib.concatMap (file: map (service: { inherit service file; }) file.services) (
    lib.attrValues cfg.secrets ++ lib.attrValues cfg.templates
  );

  installerOf =
    file:
    if file.neededForUsers or false then
      lib.optional cfg.systemdMakesUsers "sops-install-secrets-for-users.service"
    else
      lib.optional cfg.useSystemdActivation "sops-install-secrets.service";

  byCredential = lib.groupBy (
    grant: "${unitName grant.service}.service has two credentials named ${grant.file.credential}"
  ) grants;
in
{
  options.sops = {
    secrets = mkOption { type = types.attrsOf (types.submodule file); };
    templates = mkOption { type = types.attrsOf (types.submodule file); };
  };

  config = {
    systemd.services = lib.mkMerge (
      map (
        { service, file }:
        {
          ${unitName service} = {
            # Not `requires`: one bad secret does not keep back the services of all others.
            wants = installerOf file;
            after = installerOf file;
            serviceConfig.LoadCredential = [ "${file.credential}:${file.path}" ];
          };
        }
      ) grants
    );

    assertions = lib.mapAttrsToList (said: grants: {
      assertion = lib.length grants == 1;
      message = "sops: ${said}. Set `credential` of one of them.";
    }) byCredential;
  };
}
