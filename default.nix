# For those without flakes: the packages, and where the modules are.
{
  pkgs ? import <nixpkgs> { },
}:
rec {
  sops-install = pkgs.callPackage ./package.nix { };
  # The name of the program that it stands in for.
  sops-install-secrets = sops-install;

  nixosModule = ./module/nixos.nix;
  homeManagerModule = ./module/home-manager.nix;
  darwinModule = ./module/darwin.nix;
}
