# Installation by activation scripts: of secrets for users where the classic script makes users, of all others unless
# `useSystemdActivation` is set. A script's failure fails the switch. Where nothing is left to install, a script cleans up
# after the last configuration in either way.
{
  config,
  lib,
  ...
}:
let
  cfg = config.sops;
  script = import ../common/script.nix { inherit cfg lib; };

  # Without HOME, gpg and plugins complain.
  environment = {
    HOME = "/var/empty";
  }
  // cfg.environment;

  install =
    { arguments, ... }:
    ''
      [ -e /run/current-system ] || echo setting up secrets...
      ${script.withEnvironment environment "${script.program} ${arguments}"}
    '';

  after =
    names: text:
    lib.stringAfter names text
    // lib.optionalAttrs (config.system ? dryActivationScript) { supportsDryActivation = true; };

  inherit (cfg.installation) regular forUsers;
  regularByScript = !regular.isEmpty && !cfg.useSystemdActivation;
  forUsersByScript = !forUsers.isEmpty && !cfg.systemdMakesUsers;

  step =
    installation: byScript: names:
    if installation.isEmpty then
      after [ "specialfs" ] (script.cleanUp installation)
    else
      lib.mkIf byScript (
        after (names ++ lib.optional cfg.age.generateKey "generate-age-key") (install installation)
      );
in
{
  system.activationScripts = {
    setupSecrets = step regular regularByScript [
      "specialfs"
      "users"
      "groups"
    ];
    setupSecretsForUsers = step forUsers forUsersByScript [ "specialfs" ];
    users = lib.mkIf forUsersByScript {
      deps = [ "setupSecretsForUsers" ];
    };
    # A unit makes the key itself: the mount that it is to lie on may not be there yet.
    generate-age-key = lib.mkIf (cfg.age.generateKey && (regularByScript || forUsersByScript)) (
      lib.stringAfter [ ] script.generateKey
    );
  };
}
