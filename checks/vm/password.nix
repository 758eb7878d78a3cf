# What the classic script makes a user with is there before it runs.
{
  machine =
    { config, ... }:
    {
      sops.secrets.hash = {
        key = "github/oauth_token";
        neededForUsers = true;
      };
      users.users.alice = {
        isNormalUser = true;
        hashedPasswordFile = config.sops.secrets.hash.path;
      };
    };
  script = ''
    machine.succeed(f"grep -F 'alice:{token}:' /etc/shadow")
  '';
}
