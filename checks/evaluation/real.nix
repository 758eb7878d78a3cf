# home-manager's and nix-darwin's own modules for systemd, launchd and the order of activation, from checkouts. The rest of
# both is still stubs.
{
  lib,
  stubs,
  homeManagerPath,
  nixDarwinPath,
}:
let
  without =
    paths: options:
    lib.foldl' (
      options: path:
      lib.updateManyAttrsByPath [
        {
          path = lib.init path;
          update = set: removeAttrs set [ (lib.last path) ];
        }
      ] options
    ) options paths;

  anything = lib.mkOption {
    type = lib.types.attrsOf lib.types.anything;
    default = { };
  };
in
rec {
  homeManagerLib = import (homeManagerPath + "/modules/lib/stdlib-extended.nix") lib;

  homeManager = {
    imports = [
      (homeManagerPath + "/modules/systemd.nix")
      (homeManagerPath + "/modules/launchd")
    ];
    options =
      lib.recursiveUpdate
        (without [
          [
            "systemd"
            "user"
          ]
          [ "launchd" ]
          [
            "home"
            "activation"
          ]
        ] stubs.homeManager.options)
        {
          home.activation = lib.mkOption {
            type = homeManagerLib.hm.types.dagOf lib.types.str;
            default = { };
          };
          home.extraBuilderCommands = lib.mkOption { type = lib.types.lines; };
          home.sessionVariablesPackage = lib.mkOption { default = { }; };
          meta.maintainers = anything // {
            type = lib.types.raw;
          };
          xdg.configFile = anything;
          xdg.dataFile = anything;
        };
    config.home.activation = {
      writeBoundary = "";
      linkGeneration = homeManagerLib.hm.dag.entryAfter [ "writeBoundary" ] "";
    };
  };

  ofHomeManager =
    config:
    let
      order = homeManagerLib.hm.dag.topoSort config.home.activation;
    in
    {
      files = lib.attrNames config.xdg.configFile;
      unit = config.xdg.configFile."systemd/user/sops-nix.service".source or null;
      agents = lib.mapAttrs (_: agent: agent.config.Label) config.launchd.agents;
      order =
        if order ? result then map (step: step.name) order.result else throw "activation goes in a circle";
    };

  darwin = {
    imports = [ (nixDarwinPath + "/modules/launchd") ];
    options = lib.recursiveUpdate (without [ [ "launchd" ] ] stubs.darwin.options) {
      environment = {
        launchAgents = anything;
        launchDaemons = anything;
        userLaunchAgents = anything;
      };
      system.requiresPrimaryUser = lib.mkOption { type = lib.types.listOf lib.types.str; };
    };
  };

  # The stubs' marks around a manifest are found only unescaped.
  ofDarwin =
    config:
    lib.mapAttrs (
      _: file:
      lib.replaceStrings
        [
          "&lt;"
          "&gt;"
          "&apos;"
        ]
        [
          "<"
          ">"
          "'"
        ]
        file.text
    ) config.environment.launchDaemons;
}
