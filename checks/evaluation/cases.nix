# Configurations, small to large, by platform. `/@fixtures@` and `/@here@` are replaced by whoever installs what comes out.
{ lib }:
let
  fixture = name: "/@fixtures@/encrypted/${name}";
  here = name: "/@here@/${name}";

  # The fixtures are not in the store.
  common = {
    sops = {
      validateSopsFiles = false;
      defaultSopsFile = fixture "secrets.yaml";
      age.keyFile = lib.mkDefault "/@fixtures@/keys/age.txt";
    };
  };

  on = lib.mapAttrs (
    _: case: [
      common
      case
    ]
  );

  formats = {
    npmrc = { };
    "app.json" = {
      sopsFile = fixture "app.json";
      format = "json";
      key = "";
    };
    "db/password" = {
      sopsFile = fixture "app.json";
      format = "json";
    };
    blob = {
      sopsFile = fixture "blob.bin";
      format = "binary";
      mode = "0440";
    };
    environment = {
      sopsFile = fixture "app.env";
      format = "dotenv";
    };
    "database/password" = {
      sopsFile = fixture "app.ini";
      format = "ini";
    };
  };

  # What `checks/systemd` boots, and switches to the next two.
  machine =
    { config, ... }:
    {
      sops = {
        useSystemdActivation = true;
        secrets = {
          npmrc = {
            owner = "alice";
            path = "/home/alice/.npmrc";
          };
          token = {
            key = lib.mkDefault "github/oauth_token";
            restartUnits = [ "user.service" ];
          };
          "db/password" = {
            sopsFile = fixture "app.json";
            format = "json";
            services = [ "app" ];
          };
          password = {
            key = "tailscale/authkey";
            neededForUsers = true;
          };
        };
        templates."app.env" = {
          services = [ "app" ];
          content = "TOKEN=${config.sops.placeholder.token}\n";
        };
      };
      services.userborn.enable = true;
      users.users.alice.group = "users";
    };
in
{
  nixos = on {
    smallest.sops.secrets.npmrc = { };

    # As guides have it: host keys, an owner, a link into a home, the hash of a password, a service that is restarted.
    guide = {
      services.openssh.enable = true;
      users.users.alice.group = "users";
      sops.secrets = {
        "github/oauth_token" = {
          owner = "alice";
          mode = "0440";
          restartUnits = [ "runner.service" ];
        };
        npmrc = {
          owner = "alice";
          group = "wheel";
          path = here "home/.npmrc";
        };
        password = {
          key = "tailscale/authkey";
          neededForUsers = true;
        };
        by-number = {
          key = "npmrc";
          uid = 4000;
          gid = 4001;
        };
      };
    };

    formats.sops.secrets = formats;

    whole-files.sops = {
      defaultSopsFile = lib.mkForce (fixture "app.json");
      defaultSopsFormat = "json";
      defaultSopsKey = "";
      keepGenerations = 3;
      useTmpfs = true;
      log = [ "secretChanges" ];
      secrets.app = { };
      secrets.password.key = "db/password";
    };

    templates =
      { config, ... }:
      {
        users.users.app.group = "app";
        sops = {
          secrets = {
            npmrc = { };
            token = {
              key = "github/oauth_token";
              name = "github-token";
            };
            "db/password" = {
              sopsFile = fixture "app.json";
              format = "json";
            };
          };
          templates."app.conf" = {
            owner = "app";
            path = here "etc/app.conf";
            restartUnits = [ "app.service" ];
            content = ''
              token = ${config.sops.placeholder.token}
              password = ${config.sops.placeholder."db/password"}
            '';
          };
          templates."deep/app.env".content = "T=${config.sops.placeholder.token}";
        };
      };

    large.sops.secrets = lib.listToAttrs (
      map (
        number:
        lib.nameValuePair "secret-${toString number}" {
          key = "npmrc";
          restartUnits = [ "nginx.service" ];
        }
      ) (lib.range 1 40)
    );

    renamed.sops = {
      gnupgHome = "/root/.gnupg";
      sshKeyPaths = [ ];
      age.keyFile = null;
      secrets.npmrc = { };
    };

    systemd = {
      services.userborn.enable = true;
      users.users.alice.group = "users";
      sops = {
        age.keyFile = "/var/lib/sops-nix/key.txt";
        age.generateKey = true;
        secrets.npmrc.owner = "alice";
        secrets.password = {
          key = "tailscale/authkey";
          neededForUsers = true;
        };
      };
    };

    gnupg.sops = {
      age.keyFile = null;
      gnupg.home = "/root/.gnupg";
      secrets.npmrc = { };
    };

    none = { };
  };

  # What sops-nix has not.
  nixosOnlyOurs = on {
    additions =
      { config, ... }:
      {
        sops = {
          useSystemdActivation = true;
          onError = "abort";
          hostRecipients = [ "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy" ];
          age.keyFile = "/@fixtures@/keys/age.txt";
          age.keyCredential = "host-key";
          secrets = {
            "db/password" = {
              sopsFile = fixture "app.json";
              format = "json";
              services = [
                "app"
                "worker.service"
              ];
            };
            db-hosts = {
              sopsFile = fixture "app.json";
              format = "json";
              key = "db/hosts";
              output = "yaml";
              path = here "etc/hosts.yaml";
              install = "copy";
              onConflict = "replace";
            };
          };
          templates."app.json" = {
            services = [ "app" ];
            content = ''{"password": ${config.sops.placeholderAs.json."db/password"}}'';
          };
        };
      };

    inherit machine;

    machine-changed = {
      imports = [ machine ];
      sops.secrets.token.key = "gitlab/oauth_token";
    };

    # With a key that is made, without the rest.
    machine-key = {
      sops = {
        useSystemdActivation = true;
        age.keyFile = "/var/lib/secrets/key.txt";
        age.generateKey = true;
        secrets.token.key = "github/oauth_token";
      };
    };

    machine-credential.sops = {
      useSystemdActivation = true;
      age.keyFile = null;
      age.keyCredential = "host-key";
      secrets.token.key = "github/oauth_token";
    };

    machine-scripts = {
      imports = [ machine ];
      sops.useSystemdActivation = lib.mkForce false;
      services.userborn.enable = lib.mkForce false;
    };

    machine-none = {
      services.userborn.enable = true;
    };

    early-in-template =
      { config, ... }:
      {
        sops = {
          secrets.npmrc.neededForUsers = true;
          secrets.password = {
            key = "tailscale/authkey";
            neededForUsers = true;
          };
          templates."app.conf".content = "password = ${config.sops.placeholder.password}\n";
        };
      };
  };

  nixosMistakes = on {
    two-owners = {
      users.users.alice.group = "users";
      sops.secrets.npmrc = {
        owner = "alice";
        uid = 4000;
      };
    };
    no-key.sops = {
      age.keyFile = null;
      secrets.npmrc = { };
    };
    two-gpg = {
      services.openssh.enable = true;
      sops.gnupg.home = "/root/.gnupg";
      sops.secrets.npmrc = { };
    };
    early-of-a-number.sops.secrets.npmrc = {
      neededForUsers = true;
      uid = 4000;
    };
    missing-file.sops = {
      validateSopsFiles = lib.mkForce true;
      secrets.npmrc.sopsFile = "/missing.yaml";
    };
    generate-nowhere.sops = {
      age.keyFile = null;
      age.sshKeyPaths = [ "/etc/ssh/key" ];
      age.generateKey = true;
      secrets.npmrc = { };
    };
    credential-without-unit.sops = {
      age.keyCredential = "host-key";
      secrets.npmrc = { };
    };
    same-credential.sops.secrets = {
      "a/b".services = [ "app" ];
      a_b.services = [ "app" ];
    };
  };

  homeManager = on {
    smallest.sops.secrets.npmrc = { };

    guide =
      { config, ... }:
      {
        sops = {
          defaultSymlinkPath = "%r/secrets";
          secrets = {
            npmrc.path = here "home/.npmrc";
            token = {
              key = "github/oauth_token";
              path = "%r/token.txt";
            };
          };
          templates."app.conf".content = "token = ${config.sops.placeholder.token}\n";
        };
      };

    formats.sops.secrets = formats;

    gnupg.sops = {
      age.keyFile = null;
      gnupg.home = "/@here@/home/.gnupg";
      secrets.npmrc = { };
    };

    qubes.sops = {
      age.keyFile = null;
      gnupg.qubes-split-gpg = {
        enable = true;
        domain = "vault";
      };
      secrets.npmrc = { };
    };

    generate.sops = {
      age.keyFile = "/@here@/home/.config/sops/age/keys.txt";
      age.generateKey = true;
      secrets.npmrc = { };
    };
  };

  homeManagerOnlyOurs = on {
    none = { };

    additions.sops.secrets.npmrc.restartUnits = [ "app.service" ];

    # For `checks/systemd`.
    machine.sops.secrets.token = {
      key = "github/oauth_token";
      path = here "home/.token";
      restartUnits = [ "user.service" ];
    };
  };

  darwin = on {
    smallest.sops.secrets.npmrc = { };
    guide =
      { config, ... }:
      {
        sops = {
          age.generateKey = true;
          secrets = formats // {
            password = {
              key = "tailscale/authkey";
              neededForUsers = true;
            };
          };
          templates."app.conf" = {
            owner = "root";
            content = "password = ${config.sops.placeholder."db/password"}\n";
          };
        };
      };
  };
}
