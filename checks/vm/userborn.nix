# Where userborn makes the users, secrets for them are installed before, and all others after.
{
  machine =
    { config, ... }:
    {
      services.userborn.enable = true;
      users.users.alice = {
        isNormalUser = true;
        hashedPasswordFile = config.sops.secrets.hash.path;
      };
      sops.secrets = {
        hash = {
          key = "gitlab/oauth_token";
          neededForUsers = true;
        };
        "github/oauth_token".owner = "alice";
      };
    };
  script = ''
    machine.succeed("systemctl is-active sops-install-secrets-for-users.service sops-install-secrets.service")
    assert machine.succeed("cat /run/secrets-for-users/hash") == "glpat-THROWAWAY"
    assert machine.succeed("stat -c %U /run/secrets/github/oauth_token").strip() == "alice"
  '';
}
