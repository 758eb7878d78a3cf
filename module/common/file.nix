# What a secret and a template have in common: each becomes a file.
{ lib, text }:
{ name, ... }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    name = mkOption {
      type = text;
      default = name;
      defaultText = lib.literalMD "the attribute's name";
      description = "The name under which the file is installed. It may contain slashes.";
    };

    path = mkOption {
      type = text;
      defaultText = lib.literalMD "the place in the live generation, such as {file}`/run/secrets/NAME`";
      description = ''
        Where the file is wanted. If this is not the default, a link to the installed file is made here, or a copy of it
        where `install` says so.
      '';
    };

    mode = mkOption {
      type = text;
      default = "0400";
      description = "The file's permission bits, in octal.";
    };

    install = mkOption {
      type = types.enum [
        "link"
        "copy"
      ];
      default = "link";
      description = ''
        What is put at `path`: a link into the RAM file system, or a copy for programs that refuse links. A copy lies on
        whatever disk `path` is on.
      '';
    };

    onConflict = mkOption {
      type = types.enum [
        "backup"
        "replace"
        "fail"
      ];
      default = "backup";
      description = ''
        What happens to a file that stands at `path` and is not ours: `backup` renames it, `replace` deletes it, `fail`
        leaves it and reports it.
      '';
    };
  };
}
