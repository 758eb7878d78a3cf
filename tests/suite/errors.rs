//! The text of every error that a user is likely to meet. Nothing is installed in any of these cases.

use crate::common::{Sandbox, encrypted, fixture};
use std::fs;

/// Installs a manifest in user mode with these lines, and gives what was said. Nothing may have been installed.
fn error(rest: &str) -> String {
    in_sandbox(|sandbox| sandbox.user_manifest(rest))
}

/// The same for a manifest that the test writes itself.
fn in_sandbox(manifest: impl FnOnce(&Sandbox) -> std::path::PathBuf) -> String {
    let sandbox = Sandbox::new();
    let manifest = manifest(&sandbox);
    let said = sandbox.fail(&manifest, 1);
    assert!(!sandbox.path("run/secrets").exists(), "something was installed");
    said
}

/// The error for one secret from a sops file with this name and text.
fn file_error(name: &str, text: impl AsRef<[u8]>) -> String {
    in_sandbox(|sandbox| {
        sandbox.write(name, text);
        sandbox.user_manifest(&format!("defaultSopsFile: {name}\nsecrets: {{github/oauth_token: {{}}}}"))
    })
}

fn secrets_yaml() -> String {
    fs::read_to_string(encrypted("secrets.yaml")).unwrap()
}

macro_rules! says {
    ($name:ident, $said:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), $said);
        }
    };
}

fn from_secrets_yaml(secrets: &str) -> String {
    error(&format!("defaultSopsFile: {}\nsecrets: {secrets}", encrypted("secrets.yaml").display()))
}

// The manifest.
says!(manifest_is_missing, in_sandbox(|sandbox| sandbox.path("gone.yaml")));
says!(manifest_is_not_yaml, error("secrets: {a: ["));
says!(manifest_is_not_json, in_sandbox(|sandbox| sandbox.write("m.json", "{\"secrets\": [}")));
says!(manifest_has_an_unknown_field, error("secrets:\n  a: {onwer: me}\n"));
says!(manifest_has_an_unknown_field_at_the_top, error("secretes: {}\n"));
says!(manifest_has_a_field_of_another_type, error("secrets:\n  a: {uid: me}\n"));
says!(secret_has_no_sops_file, error("secrets: {a: {}}"));
says!(names_are_bad, from_secrets_yaml("{../a: {}, /b: {}, \"\": {}, c//d: {}, rendered/e: {}, \"f\\ng\": {}}"));
says!(names_are_the_same, from_secrets_yaml("{a: {key: npmrc}, a: {key: npmrc}}"));
says!(name_lies_below_another, from_secrets_yaml("{a: {key: npmrc}, a/b: {key: npmrc}}"));
says!(paths_are_the_same, from_secrets_yaml("{a: {path: /x/y}, b: {path: /x/y}}"));
says!(path_leads_up, from_secrets_yaml("{a: {path: /x/../y}}"));
says!(mode_is_a_number, from_secrets_yaml("{a: {mode: 400}}"));
says!(mode_is_not_octal, from_secrets_yaml("{a: {mode: rw}}"));
says!(mode_has_special_bits, from_secrets_yaml("{a: {mode: \"4755\"}}"));
says!(owner_and_uid_are_both_set, from_secrets_yaml("{a: {owner: me, uid: 1}}"));
says!(format_is_unknown, from_secrets_yaml("{a: {format: ymal}}"));
says!(binary_file_has_a_key, from_secrets_yaml("{a: {format: binary, key: npmrc}}"));
says!(formats_of_one_file_differ, from_secrets_yaml("{a: {key: npmrc}, b: {format: json}}"));
says!(
    runtime_directory_is_unknown,
    in_sandbox(|sandbox| sandbox.write("m.yaml", "{userMode: true, defaultSopsFile: a, secrets: {a: {}}}"))
);
says!(
    sops_nix_manifest_is_bad,
    in_sandbox(|sandbox| sandbox.write(
        "m.json",
        r#"{"secrets": [{"name": "../a", "mode": "0400", "sopsFile": "/a", "path": "/a"},
                        {"name": "b", "mode": "", "sopsFile": "/a", "path": "/b"},
                        {"name": "c", "mode": "0400", "sopsFile": "/a", "path": "/c", "format": "yml"},
                        {"name": "d", "mode": "0400", "path": "/d"}],
            "gnupgHome": "/root/.gnupg", "ageKeyFile": "/key", "symlinkPath": ""}"#
    ))
);

says!(
    manifest_is_a_key_file,
    in_sandbox(|sandbox| sandbox.write("keys.txt", "# a key\nAGE-SECRET-KEY-1THROWAWAYTHROWAWAYTHROWAWAY\n"))
);
says!(
    store_and_link_overlap,
    in_sandbox(|sandbox| sandbox.write("m.yaml", "{userMode: true, secretsMountPoint: /run/s/d, symlinkPath: /run/s}"))
);
says!(
    key_stands_in_place_of_a_path,
    in_sandbox(|sandbox| sandbox.write(
        "m.yaml",
        format!(
            "{{userMode: true, secretsMountPoint: s.d, symlinkPath: s, age: {{keyFile: AGE-SECRET-KEY-1THROWAWAY}}, \
             defaultSopsFile: {}, secrets: {{npmrc: {{}}}}}}",
            encrypted("secrets.yaml").display()
        )
    ))
);
says!(
    key_file_is_a_pipe,
    in_sandbox(|sandbox| {
        nix::unistd::mkfifo(&sandbox.path("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        sandbox.write(
            "m.yaml",
            format!(
                "{{userMode: true, secretsMountPoint: s.d, symlinkPath: s, age: {{keyFile: pipe}}, \
                 defaultSopsFile: {}, secrets: {{npmrc: {{}}}}}}",
                encrypted("secrets.yaml").display()
            ),
        )
    })
);

// The key.
says!(key_is_misspelt, from_secrets_yaml("{github/oath_token: {}}"));
says!(key_is_unknown, from_secrets_yaml("{something/else: {}}"));
says!(key_leads_through_a_value, from_secrets_yaml("{npmrc/token: {}}"));
says!(
    position_is_outside_of_the_list,
    error(&format!(
        "defaultSopsFile: {}\nsecrets: {{a: {{key: servers/2/password}}}}",
        encrypted("types.yaml").display()
    ))
);
says!(
    value_is_null,
    error(&format!("defaultSopsFile: {}\nsecrets: {{nothing: {{}}}}", encrypted("types.yaml").display()))
);
says!(
    key_stands_in_a_later_document,
    error(&format!("defaultSopsFile: {}\nsecrets: {{second: {{}}}}", encrypted("documents.yaml").display()))
);

// The sops file.
says!(sops_file_is_missing, error("defaultSopsFile: gone.yaml\nsecrets: {a: {}, b: {}}"));
says!(sops_file_is_a_directory, error("defaultSopsFile: .\nsecrets: {a: {format: yaml}}"));
says!(sops_file_is_empty, file_error("a.yaml", ""));
says!(sops_file_is_in_clear, file_error("a.yaml", "github: {oauth_token: THROWAWAY}"));
says!(sops_file_is_of_another_format, file_error("a.json", secrets_yaml()));
says!(sops_file_is_read_as_binary, file_error("secrets", secrets_yaml()));
says!(
    json_file_is_read_as_binary,
    in_sandbox(|sandbox| {
        sandbox.write("secrets", fs::read(encrypted("app.json")).unwrap());
        sandbox.user_manifest("defaultSopsFile: secrets\nsecrets: {a: {}}")
    })
);
says!(yaml_has_a_tab, file_error("a.yaml", format!("\tgithub: 1\n{}", secrets_yaml())));
says!(yaml_has_a_key_twice, file_error("a.yaml", format!("npmrc: x\n{}", secrets_yaml())));
says!(
    merge_conflict_is_left,
    file_error("a.yaml", secrets_yaml().replace("gitlab:", "<<<<<<< HEAD\ngitlab:\n=======\n>>>>>>> main\n"))
);
says!(
    json_is_cut_off,
    file_error("a.json", {
        let text = fs::read_to_string(encrypted("app.json")).unwrap();
        text[..text.len() / 2].to_owned()
    })
);
says!(ini_line_is_bad, file_error("a.ini", "[database\npassword = THROWAWAY\n"));
says!(dotenv_line_is_bad, file_error("a.env", "THROWAWAY\n"));
says!(metadata_names_no_key, file_error("a.yaml", "a: b\nsops: {lastmodified: \"2026-11-20T09:29:23Z\"}\n"));
says!(
    metadata_has_no_time,
    file_error("a.yaml", secrets_yaml().replace("lastmodified: \"2026", "lastmodified: \"twenty"))
);
says!(
    metadata_has_two_rules,
    file_error(
        "a.yaml",
        secrets_yaml().replace("    mac: ", "    encrypted_regex: x\n    encrypted_suffix: y\n    mac: ")
    )
);

// What was tampered with.
says!(value_is_flipped, file_error("a.yaml", secrets_yaml().replacen("data:", "data:AAAA", 1)));
says!(value_is_cut_off, file_error("a.yaml", secrets_yaml().replacen(",type:str]", "", 1)));
says!(value_is_in_clear, file_error("a.yaml", format!("extra: THROWAWAY\n{}", secrets_yaml())));
says!(number_is_in_clear, file_error("a.yaml", format!("extra: 4711\n{}", secrets_yaml())));
says!(mac_does_not_fit, file_error("a.yaml", format!("extra_unencrypted: THROWAWAY\n{}", secrets_yaml())));
says!(mac_is_missing, file_error("a.yaml", secrets_yaml().replace("    mac: ENC", "    cam: ENC")));
says!(
    timestamp_is_changed,
    file_error("a.yaml", secrets_yaml().replace("lastmodified: \"2026", "lastmodified: \"2025"))
);

// Identities.
says!(
    no_identity_fits,
    error(&format!("defaultSopsFile: {}\nsecrets: {{first: {{}}}}", encrypted("stranger.yaml").display()))
);
says!(
    no_identity_is_named,
    in_sandbox(|sandbox| sandbox.write(
        "m.yaml",
        format!(
            "{{userMode: true, secretsMountPoint: s.d, symlinkPath: s, defaultSopsFile: {}, secrets: {{npmrc: {{}}}}}}",
            encrypted("secrets.yaml").display()
        )
    ))
);
says!(
    identities_cannot_be_used,
    in_sandbox(|sandbox| {
        sandbox.write("bad.txt", "AGE-SECRET-KEY-1THROWAWAY\nAGE-PLUGIN-YUBIKEY-1QQQ\n");
        sandbox.write(
            "m.yaml",
            format!(
                "userMode: true\nsecretsMountPoint: s.d\nsymlinkPath: s\ndefaultSopsFile: {}\nage:\n  keyFile: bad.txt\n  \
                 sshKeyPaths: [gone, {k}/ssh_rsa, {k}/ssh_ed25519_locked, {k}/ssh_ed25519.pub]\nsecrets: {{npmrc: {{}}}}\n",
                encrypted("secrets.yaml").display(),
                k = fixture("keys").display()
            ),
        )
    })
);
says!(master_key_is_damaged, file_error("a.yaml", secrets_yaml().replace("-----BEGIN AGE", "-----BEGIM AGE")));
says!(
    master_key_is_for_another_key,
    in_sandbox(|sandbox| {
        let stranger = fs::read_to_string(encrypted("stranger.yaml")).unwrap();
        let other = "age1zg833xlxnse02944z227kpud4q7mcs6zu9wfss338vkud949ydzq9v77xw";
        assert!(stranger.contains(other));
        sandbox
            .write("a.yaml", stranger.replace(other, "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy"));
        sandbox.user_manifest("defaultSopsFile: a.yaml\nsecrets: {first: {}}")
    })
);
says!(
    recipient_holds_a_newline,
    in_sandbox(|sandbox| {
        let stranger = fs::read_to_string(encrypted("stranger.yaml")).unwrap();
        sandbox.write(
            "a.yaml",
            stranger.replace("recipient: age1zg8", "recipient: \"age1\\n  help: run this\" # age1zg8"),
        );
        sandbox.user_manifest("defaultSopsFile: a.yaml\nsecrets: {first: {}}")
    })
);
says!(
    too_few_key_groups_open,
    error(&format!("defaultSopsFile: {}\nsecrets: {{npmrc: {{}}}}", encrypted("shamir.yaml").display()))
);
says!(
    key_groups_are_two_by_accident,
    error(&format!("defaultSopsFile: {}\nsecrets: {{npmrc: {{}}}}", encrypted("two-groups.yaml").display()))
);
says!(
    environment_file_is_bad,
    in_sandbox(|sandbox| {
        sandbox.write("keys.env", "SOPS_AGE_KEY=\"AGE-SECRET-KEY-1THROWAWAY\n");
        let secrets = encrypted("secrets.yaml");
        sandbox.user_manifest(&format!(
            "environmentFile: keys.env\ndefaultSopsFile: {}\nsecrets: {{npmrc: {{}}}}",
            secrets.display()
        ))
    })
);

// The machine.
says!(root_is_missing, {
    let sandbox = Sandbox::new();
    let manifest = sandbox
        .user_manifest(&format!("defaultSopsFile: {}\nsecrets: {{npmrc: {{}}}}", encrypted("secrets.yaml").display()));
    let output = sandbox.run(&["install", "--root", "gone", manifest.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    sandbox.tidy(&output.stderr)
});
says!(
    mount_point_is_a_file,
    in_sandbox(|sandbox| {
        sandbox.write("run/secrets.d", "");
        sandbox.user_manifest(&format!(
            "defaultSopsFile: {}\nsecrets: {{npmrc: {{}}}}",
            encrypted("secrets.yaml").display()
        ))
    })
);

#[test]
fn a_directory_where_a_link_is_to_stand_fails_that_link_alone() {
    let sandbox = Sandbox::new();
    let manifest = sandbox.user_manifest(&format!(
        "defaultSopsFile: {}\nsecrets: {{npmrc: {{path: home/.npmrc}}, other: {{key: npmrc, path: home/other}}}}",
        encrypted("secrets.yaml").display()
    ));
    sandbox.write("home/.npmrc/precious", "");
    insta::assert_snapshot!("link_is_a_directory", sandbox.fail(&manifest, 3));
    assert!(sandbox.path("home/.npmrc/precious").exists());
    assert_eq!(sandbox.read("home/other"), sandbox.read("run/secrets/npmrc"));
}

#[test]
fn a_hundred_errors_are_shown_and_the_rest_is_counted() {
    let said =
        from_secrets_yaml(&format!("{{{}}}", (0..107).map(|number| format!("/{number}: {{}},")).collect::<String>()));
    assert_eq!(said.matches("error: ").count(), 101, "{said}");
    assert!(said.contains("error: and 7 more, which are not shown\n"), "{said}");
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_no_value_is() {
    let said = from_secrets_yaml("{github/oath_token: {}, gitlab/oath_token: {}}");
    assert_eq!(said.matches("error: ").count(), 2, "{said}");
    for name in fs::read_dir(fixture("../suite/snapshots")).unwrap() {
        let text = fs::read_to_string(name.unwrap().path()).unwrap();
        // The head of a snapshot holds the expression behind it.
        let text = text.splitn(3, "---\n").last().unwrap();
        assert!(!text.contains("THROWAWAY") && !text.contains("4711"), "{text}");
    }
}
