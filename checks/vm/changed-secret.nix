# A switch to another secret restarts what uses it, and nothing else.
let
  started = pkgs: name: {
    wantedBy = [ "multi-user.target" ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "${pkgs.runtimeShell} -c 'echo x >> /var/${name}'";
    };
  };
in
{
  machine =
    { lib, pkgs, ... }:
    {
      sops.secrets.token = {
        key = lib.mkDefault "github/oauth_token";
        restartUnits = [ "user.service" ];
      };
      systemd.services.user = started pkgs "user";
      systemd.services.other = started pkgs "other";
      specialisation.changed.configuration.sops.secrets.token.key = "gitlab/oauth_token";
    };
  script = ''
    assert machine.succeed("cat /run/secrets/token") == token
    machine.succeed("/run/current-system/specialisation/changed/bin/switch-to-configuration test")
    assert machine.succeed("cat /run/secrets/token") == "glpat-THROWAWAY"
    machine.wait_until_succeeds("test $(wc -l < /var/user) = 2")
    machine.succeed("test $(wc -l < /var/other) = 1")
  '';
}
