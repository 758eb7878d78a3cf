# Evaluates the modules on the cases, with the real lib of nixpkgs. `checks/evaluate` compares the result with what is kept.
{
  libPath,
  # Other modules can be evaluated on the same cases, to compare with.
  nixos ? ../../module/nixos.nix,
  homeManager ? ../../module/home-manager.nix,
  darwin ? ../../module/darwin.nix,
  # Cases that only our modules know.
  ours ? true,
  # Checkouts. With them, these projects' own modules make the units and launchd's jobs, and not the stubs.
  homeManagerPath ? null,
  nixDarwinPath ? null,
}:
let
  lib = import libPath;
  stubs = import ./stubs.nix { inherit lib; };
  real = import ./real.nix {
    inherit
      lib
      stubs
      homeManagerPath
      nixDarwinPath
      ;
  };
  cases = import ./cases.nix { inherit lib; };

  platforms = {
    nixos = {
      module = nixos;
      stub = stubs.nixos;
      manifests = systemManifests;
      machine = config: {
        inherit (config.system) activationScripts;
        inherit (config.systemd) services;
      };
    };
    home-manager = {
      module = homeManager;
      stub = if homeManagerPath == null then stubs.homeManager else real.homeManager;
      rendered = real.ofHomeManager;
      manifests =
        config:
        let
          service = config.systemd.user.services.sops-nix or null;
        in
        userManifest (
          if service != null then
            # The real home-manager makes it a list.
            toString service.Service.ExecStart
          else
            config.home.activation.sops-nix.data
        );
      machine = config: {
        inherit (config.home) sessionVariables;
        activation = ownActivation config;
        services = ownServices config;
      };
    };
    home-manager-darwin = platforms.home-manager // {
      system = "aarch64-darwin";
      manifests = config: userManifest config.launchd.agents.sops-nix.config.Program;
      machine = config: {
        activation = ownActivation config;
        # What is not set is null in the real one.
        agents = lib.mapAttrs (_: agent: {
          inherit (agent) enable;
          config = lib.filterAttrs (_: value: value != null) agent.config;
        }) config.launchd.agents;
      };
    };
    darwin = {
      system = "aarch64-darwin";
      module = darwin;
      stub = if nixDarwinPath == null then stubs.darwin else real.darwin;
      rendered = real.ofDarwin;
      manifests = systemManifests;
      machine = config: {
        inherit (config.system) activationScripts;
        daemons = lib.mapAttrs (_: daemon: {
          inherit (daemon) command;
          serviceConfig = lib.intersectAttrs {
            KeepAlive = null;
            RunAtLoad = null;
            StandardErrorPath = null;
          } daemon.serviceConfig;
        }) config.launchd.daemons;
      };
    };
  };

  casesOf = {
    nixos = cases.nixos // lib.optionalAttrs ours cases.nixosOnlyOurs;
    home-manager = cases.homeManager // lib.optionalAttrs ours cases.homeManagerOnlyOurs;
    home-manager-darwin = { inherit (cases.homeManager) smallest; };
    inherit (cases) darwin;
  };

  evaluate =
    platform: case:
    lib.evalModules {
      # Of home-manager's lib, the order of activation is all that is needed.
      specialArgs.lib =
        if homeManagerPath == null then
          lib.extend (_: _: { hm.dag.entryAfter = after: data: { inherit after data; }; })
        else
          real.homeManagerLib;
      modules = [
        (
          { pkgs, ... }:
          {
            _module.args.pkgs = stubs.pkgs (platform.system or "x86_64-linux");
            sops.package = pkgs.callPackage ../../package.nix { };
          }
        )
        platform.stub
        platform.module
      ]
      ++ case;
    };

  systemManifests = config: {
    regular = builtins.fromJSON config.system.build.sops-nix-manifest.text;
    for-users = builtins.fromJSON config.system.build.sops-nix-users-manifest.text;
  };
  userManifest = text: { regular = builtins.fromJSON (lib.elemAt (splitAtManifests text) 1); };

  # The real home-manager has steps of its own, and says more of each.
  ownActivation =
    config:
    lib.mapAttrs (
      _: step: { inherit (step) data; } // lib.optionalAttrs (step ? after) { inherit (step) after; }
    ) (lib.filterAttrs (name: _: name == "sops-nix") config.home.activation);
  ownServices =
    config:
    lib.mapAttrs (
      _: service:
      lib.mapAttrs (_: lib.filterAttrs (_: value: value != null && value != [ ])) service
      // {
        Service = service.Service // {
          ExecStart = toString service.Service.ExecStart;
        };
      }
    ) (lib.filterAttrs (name: _: name == "sops-nix") config.systemd.user.services);

  # Every second part is a manifest.
  splitAtManifests = text: lib.concatMap (lib.splitString ">>>") (lib.splitString "<<<" text);

  withoutManifests =
    value:
    if lib.isString value then
      lib.concatStrings (
        lib.imap0 (index: part: if lib.mod index 2 == 0 then part else "MANIFEST") (splitAtManifests value)
      )
    else if lib.isList value then
      map withoutManifests value
    else if lib.isAttrs value then
      lib.mapAttrs (_: withoutManifests) value
    else
      value;

  failed =
    config:
    map (assertion: assertion.message) (lib.filter (assertion: !assertion.assertion) config.assertions);

  result =
    platform: case:
    let
      inherit (evaluate platform case) config;
    in
    {
      manifests = platform.manifests config;
      machine = withoutManifests (platform.machine config) // {
        failed = failed config;
        inherit (config) warnings;
      };
    };

  described =
    option:
    lib.nameValuePair option.name {
      inherit (option) type;
      default = option.default.text or null;
      hasDescription = option.description or null != null;
    };

  inReference =
    option: lib.hasPrefix "sops" option.name && !option.internal && option.description or null != null;

  documented = platform: option: {
    inherit platform;
    inherit (option) name type description;
    default = option.default or null;
    example = option.example or null;
    readOnly = option.readOnly or false;
  };
in
{
  cases = lib.mapAttrs (name: lib.mapAttrs (_: result platforms.${name})) casesOf;

  mistakes = lib.mapAttrs (
    _: case: failed (evaluate platforms.nixos case).config
  ) cases.nixosMistakes;

  options = lib.mapAttrs (
    _: platform:
    lib.listToAttrs (
      map described (
        lib.filter (option: lib.hasPrefix "sops" option.name) (
          lib.optionAttrSetToDocList (evaluate platform [ ]).options
        )
      )
    )
  ) platforms;

  # For `checks/options`.
  reference = lib.concatLists (
    lib.mapAttrsToList (
      name: platform:
      map (documented name) (
        lib.filter inReference (lib.optionAttrSetToDocList (evaluate platform [ ]).options)
      )
    ) (removeAttrs platforms [ "home-manager-darwin" ])
  );
}
// lib.optionalAttrs (homeManagerPath != null && nixDarwinPath != null) {
  # What the real modules write for systemd and launchd, without the manifests.
  rendered = lib.mapAttrs (
    platform:
    lib.mapAttrs (
      _: case:
      withoutManifests (platforms.${platform}.rendered (evaluate platforms.${platform} case).config)
    )
  ) (removeAttrs casesOf [ "nixos" ]);
}
