# Installation by activation scripts: of secrets for users where the classic script makes users, of all others unless
# `useSystemdActivation` is set. A script's failure fails the switch.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.sops;
  script = import ../common/script.nix { inherit cfg lib pkgs; };

  # Without HOME, gpg and plugins complain.
  environment = {
    HOME = "/var/empty";
  }
  // cfg.environment;

  install =
    { arguments, isEmpty, mark }:
    let
      command = script.withEnvironment environment "${script.program} ${arguments}";
    in
    if !isEmpty then
      ''
        [ -e /run/current-system ] || echo setting up secrets...
        ${command}
      ''
    else
      # Removes what an earlier configuration installed.
      ''
        if [ -e ${mark} ]; then
          ${command}
        fi
      '';

  after =
    names: text:
    lib.stringAfter (names ++ lib.optional cfg.age.generateKey "generate-age-key") text
    // lib.optionalAttrs (config.system ? dryActivationScript) { supportsDryActivation = true; };
in
{
  system.activationScripts = lib.mkMerge [
    (lib.mkIf (!cfg.useSystemdActivation) {
      setupSecrets = after [ "specialfs" "users" "groups" ] (install cfg.installation.regular);
    })
    (lib.mkIf (!cfg.systemdMakesUsers) {
      setupSecretsForUsers = after [ "specialfs" ] (install cfg.installation.forUsers);
      users.deps = [ "setupSecretsForUsers" ];
    })
    (lib.mkIf cfg.age.generateKey {
      generate-age-key = lib.stringAfter [ ] script.generateKey;
    })
  ];
}
