# A key is made where there is none, readable by root alone, and stays.
{
  machine = {
    sops.useSystemdActivation = true;
    sops.age.keyFile = "/var/lib/secrets/key.txt";
    sops.age.generateKey = true;
    sops.secrets."github/oauth_token" = { };
  };
  script = ''
    assert machine.succeed("stat -c '%U %a' /var/lib/secrets/key.txt").strip() == "root 600"
    made = machine.succeed("cat /var/lib/secrets/key.txt")
    machine.succeed("systemctl restart sops-install-secrets.service")
    assert machine.succeed("cat /var/lib/secrets/key.txt") == made
  '';
}
