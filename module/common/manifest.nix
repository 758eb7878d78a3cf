# Writes a manifest in the form that sops-nix's modules use. It needs nothing but Nix itself, so it can be evaluated
# wherever Nix is; the result is an attribute set for `builtins.toJSON`.
{
  # By name: { key, path, format, mode, owner, uid, group, gid, sopsFile, restartUnits, reloadUnits }.
  # What is left out has the default of sops-nix.
  secrets,
  # By name: { content, file, path, mode, owner, uid, group, gid, restartUnits, reloadUnits }.
  templates ? { },
  defaultSopsFile ? null,
  defaultSopsFormat ? "yaml",
  defaultSopsKey ? null,
  secretsMountPoint ? "/run/secrets.d",
  symlinkPath ? "/run/secrets",
  keepGenerations ? 1,
  useTmpfs ? false,
  userMode ? false,
  ageKeyFile ? null,
  ageSshKeyPaths ? [ ],
  gnupgHome ? null,
  sshKeyPaths ? [ ],
  log ? [
    "keyImport"
    "secretChanges"
  ],
}:

let
  # What secrets and templates share.
  file = {
    mode = "0400";
    owner = null;
    uid = 0;
    group = null;
    gid = 0;
    restartUnits = [ ];
    reloadUnits = [ ];
  };

  named = make: builtins.mapAttrs (name: options: make name // { inherit name; } // options);

  secret =
    name:
    file
    // {
      key = if defaultSopsKey != null then defaultSopsKey else name;
      path = "${symlinkPath}/${name}";
      format = defaultSopsFormat;
      sopsFile = defaultSopsFile;
    };

  template =
    name:
    file
    // {
      content = "";
      file = "";
      path = "${symlinkPath}/rendered/${name}";
    };

  # The text that stands for a secret in a template. The hash keeps one name's text from being part of another's.
  placeholder = name: "<SOPS:${builtins.hashString "sha256" name}:PLACEHOLDER>";
in
{
  inherit placeholder;

  manifest = {
    secrets = builtins.attrValues (named secret secrets);
    templates = builtins.attrValues (named template templates);
    placeholderBySecretName = builtins.mapAttrs (name: _: placeholder name) secrets;
    inherit
      secretsMountPoint
      symlinkPath
      keepGenerations
      useTmpfs
      userMode
      ageKeyFile
      ageSshKeyPaths
      gnupgHome
      sshKeyPaths
      ;
    logging = {
      keyImport = builtins.elem "keyImport" log;
      secretChanges = builtins.elem "secretChanges" log;
    };
  };
}
