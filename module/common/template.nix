# The options of a template that every platform has.
{ lib, pkgs }:
{ config, ... }:
let
  inherit (lib) mkOption types;
in
{
  imports = [
    (import ./file.nix {
      inherit lib;
      text = types.singleLineStr;
    })
  ];

  options = {
    content = mkOption {
      type = types.lines;
      default = "";
      example = lib.literalExpression ''
        '''
          password = ''${config.sops.placeholder."db/password"}
        '''
      '';
      description = ''
        The text. Write {option}`sops.placeholder` or {option}`sops.placeholderAs` where a secret is to stand.
      '';
    };

    file = mkOption {
      type = types.path;
      default = pkgs.writeText config.name config.content;
      defaultText = lib.literalExpression "pkgs.writeText name content";
      description = "A file that has the text, in place of `content`.";
    };
  };
}
