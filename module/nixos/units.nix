# Installation by systemd services: of secrets for users where systemd makes users, of all others where
# `useSystemdActivation` is set.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.sops;
  script = import ../common/script.nix { inherit cfg lib; };

  # Plugins, gpg and its agent, commands that print keys.
  runsNothingElse =
    cfg.age.plugins == [ ]
    && cfg.gnupg.home == null
    && removeAttrs cfg.environment [ "SOPS_GPG_EXEC" ] == { };

  # Variables that name a key file.
  keyVariables = lib.intersectAttrs {
    SOPS_AGE_KEY_FILE = null;
    SOPS_AGE_SSH_PRIVATE_KEY_FILE = null;
    GNUPGHOME = null;
  } cfg.environment;

  # Nothing here may need a mount namespace, as PrivateNetwork does since systemd 257: what the installer mounts would stay
  # inside. `checks/systemd` looks at that.
  hardening = {
    CapabilityBoundingSet = [
      "CAP_CHOWN"
      "CAP_DAC_OVERRIDE"
      "CAP_DAC_READ_SEARCH"
      "CAP_FOWNER"
      # Directories are made with their owner's rights.
      "CAP_SETGID"
      "CAP_SETUID"
      # Mounting.
      "CAP_SYS_ADMIN"
    ];
    LimitCORE = 0;
    # The installer locks what it has in memory.
    LimitMEMLOCK = "infinity";
    LockPersonality = true;
    # What the installer holds in memory is not written to a swap device.
    MemorySwapMax = 0;
    NoNewPrivileges = true;
    ProtectClock = true;
    ProtectHostname = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "@mount"
    ];
    UMask = "0077";
  }
  # What else is run may use a device, ask a server, or make code as it runs.
  // lib.optionalAttrs runsNothingElse {
    DevicePolicy = "closed";
    IPAddressDeny = "any";
    MemoryDenyWriteExecute = true;
    RestrictAddressFamilies = [ "AF_UNIX" ];
  };

  service =
    { arguments, ... }:
    {
      conflicts = [ "shutdown.target" ];
      before = [
        "shutdown.target"
        "sysinit.target"
        "sysinit-reactivation.target"
      ];
      requiredBy = [ "sysinit-reactivation.target" ];
      environment = {
        HOME = "/var/empty";
      }
      // cfg.environment
      // {
        SOPS_RESTART_UNITS_VIA_SYSTEMCTL = "1";
      };
      path = cfg.age.plugins;
      unitConfig = {
        # The default would order it after sysinit.target.
        DefaultDependencies = false;
        RequiresMountsFor =
          lib.optional (cfg.gnupg.home != null) cfg.gnupg.home
          ++ map toString cfg.gnupg.sshKeyPaths
          ++ lib.optional (cfg.age.keyFile != null) (toString cfg.age.keyFile)
          ++ map toString cfg.age.sshKeyPaths
          ++ lib.filter (lib.hasPrefix "/") (map toString (lib.attrValues keyVariables));
      };
      serviceConfig = hardening // {
        Type = "oneshot";
        RemainAfterExit = true;
        StateDirectory = "sops-install";
        StateDirectoryMode = "0700";
        ImportCredential = lib.optional (cfg.age.keyCredential != null) cfg.age.keyCredential;
        ExecStartPre = lib.optional cfg.age.generateKey (
          pkgs.writeShellScript "sops-generate-age-key" script.generateKey
        );
        ExecStart = [ "${script.program} ${arguments}" ];
      };
    };
in
{
  systemd.services = lib.mkMerge [
    (lib.mkIf (cfg.useSystemdActivation && !cfg.installation.regular.isEmpty) {
      sops-install-secrets = lib.mkMerge [
        (service cfg.installation.regular)
        {
          description = "Secrets";
          wantedBy = [ "sysinit.target" ];
          after = [
            "local-fs.target"
            "systemd-sysusers.service"
            "userborn.service"
          ];
        }
      ];
    })
    (lib.mkIf (cfg.systemdMakesUsers && !cfg.installation.forUsers.isEmpty) {
      sops-install-secrets-for-users =
        let
          makers = [
            "systemd-sysusers.service"
            "userborn.service"
          ];
        in
        lib.mkMerge [
          (service cfg.installation.forUsers)
          {
            description = "Secrets for making users";
            wantedBy = makers;
            before = makers;
          }
        ];
    })
  ];
}
