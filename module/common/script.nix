# The shell code of activation scripts, launchd jobs and user services.
{ cfg, lib }:
let
  keyFile = lib.escapeShellArg cfg.age.keyFile;
in
rec {
  # `keygen` overwrites nothing. It is not called where there is a key, because that would be its error.
  generateKey = ''
    if [ ! -e ${keyFile} ]; then
      echo "making an age key at" ${keyFile}
      ${cfg.package}/bin/sops-install keygen -o ${keyFile}
    fi
  '';

  generateKeyIfWanted = lib.optionalString cfg.age.generateKey generateKey;

  program = "${cfg.package}/bin/sops-install-secrets";

  # Removes what the last configuration installed, where this one installs nothing. It is done with the program of the
  # system that is being replaced: this one has none.
  cleanUp =
    { arguments, mark, ... }:
    let
      previous = "/run/current-system/sw/bin/sops-install-secrets";
    in
    ''
      if [ -e ${mark} ] && [ -x ${previous} ]; then
        ${previous} ${arguments}
      fi
    '';

  # The quotes are closed by a quote in a value, as in sops-nix: a value may hold `'"$(command)"'`.
  withEnvironment =
    environment: command:
    let
      exports =
        lib.optional (cfg.age.plugins != [ ]) "PATH=\"${lib.makeBinPath cfg.age.plugins}:$PATH\""
        ++ lib.mapAttrsToList (name: value: "${name}='${value}'") environment;
    in
    ''
      (
      ${lib.concatMapStrings (export: "  export ${export}\n") exports}  ${command}
      )
    '';
}
