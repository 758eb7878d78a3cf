# With the last secret goes all that was installed.
{
  machine =
    { lib, ... }:
    {
      sops.secrets.token = {
        key = "github/oauth_token";
        path = "/etc/token";
      };
      specialisation.none.configuration.sops.secrets = lib.mkForce { };
    };
  script = ''
    assert machine.succeed("cat /etc/token") == token
    machine.succeed("/run/current-system/specialisation/none/bin/switch-to-configuration test")
    machine.fail("test -L /etc/token")
    machine.fail("test -e /run/secrets/token")
  '';
}
