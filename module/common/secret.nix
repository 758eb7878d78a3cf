# The options of a secret that every platform has.
{ cfg, lib }:
{ name, ... }:
let
  inherit (lib) mkOption types;
in
{
  imports = [
    (import ./file.nix {
      inherit lib;
      text = types.str;
    })
  ];

  options = {
    sopsFile = mkOption {
      type = types.path;
      default = cfg.defaultSopsFile;
      defaultText = lib.literalExpression "config.sops.defaultSopsFile";
      description = "The encrypted file that the secret is in.";
    };

    format = mkOption {
      type = types.enum [
        "yaml"
        "json"
        "binary"
        "dotenv"
        "ini"
        "age"
      ];
      default = cfg.defaultSopsFormat;
      defaultText = lib.literalExpression "config.sops.defaultSopsFormat";
      description = ''
        The format of `sopsFile`. `binary` has no keys: the secret is the whole content. `age` is a file that age itself
        encrypted, such as one of agenix, and has no keys either.
      '';
    };

    key = mkOption {
      type = types.str;
      default = if cfg.defaultSopsKey != null then cfg.defaultSopsKey else name;
      defaultText = lib.literalMD "{option}`sops.defaultSopsKey`, or the attribute's name";
      example = "servers/0/password";
      description = ''
        Which value of `sopsFile` the secret is. A slash leads into a map or list; `\/` is a slash that is part of a key.
        The empty key is the whole file.
      '';
    };

    output = mkOption {
      type = types.nullOr (
        types.enum [
          "json"
          "yaml"
          "ini"
          "dotenv"
          "raw"
        ]
      );
      default = null;
      example = "dotenv";
      description = ''
        The form in which a whole file, a map or a list is installed. `dotenv` is quoted for systemd's
        `EnvironmentFile=`, `raw` is the bytes of a single value. `null` is the file's own format.
      '';
    };
  };
}
