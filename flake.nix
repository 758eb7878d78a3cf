{
  description = "Installs secrets from sops files on a machine";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      onEachSystem =
        outputs:
        nixpkgs.lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: outputs nixpkgs.legacyPackages.${system});

      named = module: {
        default = module;
        sops = module;
      };
    in
    {
      packages = onEachSystem (
        pkgs:
        let
          built = import ./default.nix { inherit pkgs; };
        in
        {
          inherit (built) sops-install sops-install-secrets;
          default = built.sops-install;
        }
      );

      overlays.default = final: _: {
        inherit (import ./default.nix { pkgs = final; }) sops-install sops-install-secrets;
      };

      nixosModules = named ./module/nixos.nix;
      homeManagerModules = named ./module/home-manager.nix;
      homeModules = self.homeManagerModules;
      darwinModules = named ./module/darwin.nix;

      checks = onEachSystem (pkgs: import ./checks/vm { inherit pkgs; });

      devShells = onEachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          packages = with pkgs; [
            age
            cargo-deny
            clippy
            gnupg
            jq
            rustfmt
            sops
            strace
          ];
        };
      });
    };
}
