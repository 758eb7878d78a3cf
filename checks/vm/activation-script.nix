# Owner, mode and link are as they are set.
{
  machine = {
    users.users.alice.isNormalUser = true;
    sops.secrets."github/oauth_token" = {
      owner = "alice";
      mode = "0440";
      path = "/home/alice/token";
    };
  };
  script = ''
    assert machine.succeed("cat /home/alice/token") == token
    assert machine.succeed("stat -Lc '%U %G %a' /home/alice/token").strip() == "alice users 440"
    assert machine.succeed("stat -fc %T /run/secrets.d").strip() == "ramfs"
  '';
}
