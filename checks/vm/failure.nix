# A secret that fails makes a failed unit, and keeps no other secret back.
{
  machine = {
    sops.useSystemdActivation = true;
    # The build would find it.
    sops.validateSopsFiles = false;
    sops.secrets = {
      "github/oauth_token" = { };
      "no/such/key" = { };
    };
  };
  script = ''
    machine.succeed("systemctl is-failed sops-install-secrets.service")
    assert machine.succeed("cat /run/secrets/github/oauth_token") == token
    machine.fail("test -e /run/secrets/no")
  '';
}
