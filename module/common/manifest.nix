# Writes a manifest in the form that sops-nix's modules use, so that either project's program takes it.
{
  cfg,
  lib,
  pkgs,
}:
{
  suffix ? "",
  secrets,
  templates ? { },
  secretsMountPoint,
  symlinkPath,
  userMode ? false,
}:
let
  placeholder = import ./placeholder.nix;

  nameOf = attribute: cfg.secrets.${attribute}.name or attribute;

  # These concern the machine's other units, not the installer.
  files = lib.mapAttrsToList (
    _: file:
    removeAttrs file [
      "services"
      "credential"
    ]
  );

  # A path literal would be copied to the store, which everybody reads. These are private keys.
  outsideStore = map toString;
in
pkgs.writeTextFile {
  name = "manifest${suffix}.json";
  text = builtins.toJSON {
    secrets = files secrets;
    templates = files templates;
    placeholderBySecretName = lib.mapAttrs' (
      attribute: lib.nameValuePair (nameOf attribute)
    ) cfg.placeholder;
    escapedPlaceholders = lib.optionalAttrs (templates != { }) (
      lib.listToAttrs (
        lib.concatMap (
          escape:
          map (
            attribute:
            lib.nameValuePair (placeholder.escaped escape attribute) {
              secret = nameOf attribute;
              inherit escape;
            }
          ) (lib.attrNames cfg.secrets)
        ) placeholder.escapes
      )
    );
    inherit secretsMountPoint symlinkPath userMode;
    inherit (cfg) keepGenerations onError hostRecipients;
    useTmpfs = cfg.useTmpfs or false;
    ageKeyFile = lib.mapNullable toString cfg.age.keyFile;
    ageSshKeyPaths = outsideStore cfg.age.sshKeyPaths;
    ageKeyCredential = cfg.age.keyCredential or null;
    gnupgHome = cfg.gnupg.home;
    sshKeyPaths = outsideStore cfg.gnupg.sshKeyPaths;
    logging = lib.genAttrs [ "keyImport" "secretChanges" ] (what: lib.elem what cfg.log);
  };
  # An empty manifest only cleans up. A machine without secrets does not need the program built.
  checkPhase = lib.optionalString (secrets != { } || templates != { }) ''
    ${cfg.validationPackage}/bin/sops-install-secrets \
      -check-mode=${if cfg.validateSopsFiles then "sopsfile" else "manifest"} "$out"
  '';
}
