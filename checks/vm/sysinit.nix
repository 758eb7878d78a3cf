# A service of sysinit.target finds the secret.
{
  machine =
    { pkgs, ... }:
    {
      sops.useSystemdActivation = true;
      sops.secrets."github/oauth_token" = { };
      systemd.services.early = {
        wantedBy = [ "sysinit.target" ];
        after = [ "sops-install-secrets.service" ];
        before = [ "sysinit.target" ];
        unitConfig.DefaultDependencies = false;
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${pkgs.coreutils}/bin/cp /run/secrets/github/oauth_token /run/seen";
        };
      };
    };
  script = ''
    assert machine.succeed("cat /run/seen") == token
    reached = "systemctl show -P {} {}"
    installed = int(machine.succeed(reached.format("ActiveEnterTimestampMonotonic", "sops-install-secrets.service")))
    assert installed < int(machine.succeed(reached.format("ActiveEnterTimestampMonotonic", "sysinit.target")))
  '';
}
