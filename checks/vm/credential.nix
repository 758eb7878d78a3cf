# A service that has no user of its own reads its secret.
{
  machine =
    { pkgs, ... }:
    {
      sops.useSystemdActivation = true;
      sops.secrets."github/oauth_token".services = [ "app" ];
      systemd.services.app = {
        wantedBy = [ "multi-user.target" ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          DynamicUser = true;
          StateDirectory = "app";
          ExecStart = "${pkgs.coreutils}/bin/cp %d/github_oauth_token %S/app/token";
        };
      };
    };
  script = ''
    machine.wait_for_unit("app.service")
    assert machine.succeed("cat /var/lib/app/token") == token
  '';
}
