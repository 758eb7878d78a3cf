use super::*;
use crate::audit::recipient::Recipient;

const A: &str = "age12axagr7f7gvxcpl78z9d46zrqnasa5qhdcfnwz2d3zwetqedepcsw8r3au";
const B: &str = "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy";

/// A `.sops.yaml`, in which `$A` and `$B` stand for recipients.
fn config(text: &str) -> Config {
    let text = text.replace("$A", A).replace("$B", B);
    Config::read(".sops.yaml".into(), "/repo".into(), true, text.as_bytes())
}

/// The findings of a configuration: line, kind, text.
fn wrong(text: &str) -> Vec<String> {
    let show = |finding: &Finding| format!("{} {} {}", finding.line.unwrap_or(0), finding.kind.name(), finding.what);
    config(text).findings.iter().map(show).collect()
}

/// What a file gets: `A`, `B` for its groups, or why it gets nothing.
fn given(text: &str, file: &str) -> String {
    let config = config(text);
    let letter = |key: &Recipient| key.text().replace(A, "A").replace(B, "B");
    match Match::of(Some(&config), &Path::new("/repo").join(file)) {
        Match::NoConfig => "no config".into(),
        Match::NoRule(_) => "no rule".into(),
        Match::Refused => "refused".into(),
        Match::Rule(_, rule) => {
            let groups = rule.groups.iter().map(|group| group.iter().map(letter).collect::<Vec<_>>().join(" "));
            groups.collect::<Vec<_>>().join(" | ")
        }
    }
}

#[test]
fn the_first_rule_that_matches_counts() {
    let rules = "creation_rules:\n- {path_regex: ^sub/x, age: $A}\n- {path_regex: x, age: $B}\n";
    assert_eq!(given(rules, "sub/x.yaml"), "A");
    assert_eq!(given(rules, "other/sub/x.yaml"), "B");
    assert_eq!(given(rules, "y.yaml"), "no rule");
    assert_eq!(given("creation_rules: [{path_regex: '', age: $A}]", "y"), "A");
    assert_eq!(given("creation_rules: [{path_regex: ^/elsewhere/y$, age: $A}]", "/elsewhere/y"), "A");
}

#[test]
fn a_rule_that_cannot_be_read_stops_what_comes_to_it_and_nothing_else() {
    let rules = "creation_rules:\n- {path_regex: a, age: $A}\n- {path_regex: (, age: $A}\n- {age: $B}\n";
    assert_eq!((given(rules, "a"), given(rules, "b")), ("A".into(), "refused".into()));
    assert!(wrong(rules)[0].starts_with("3 bad-config rule 2: `path_regex` is no regular expression"));
    let rules = "creation_rules:\n- {path_regex: a, age: alice}\n- {age: $B}\n";
    assert_eq!((given(rules, "a"), given(rules, "b")), ("refused".into(), "B".into()));
    assert!(wrong(rules)[0].starts_with("2 bad-config rule 1: sops refuses it: `alice` is no age recipient"));
}

#[test]
fn keys_are_text_with_commas_or_lists() {
    for keys in ["'$A,$B'", "'$A, $B,'", "[$A, $B]", "['$A,$B']", ">-\n    $A,\n    $B\n", "|\n    $A,\n    $B\n"] {
        assert_eq!(given(&format!("creation_rules:\n- age: {keys}\n"), "x"), "A B", "{keys}");
    }
    for keys in ["[[$A]]", "5", "{a: $A}", "[$A, null]", "['$A,']", ">-\n    $A\n    $B\n"] {
        let rules = format!("creation_rules:\n- age: {keys}\n");
        assert_eq!(given(&rules, "x"), "refused", "{keys}");
        assert_eq!(wrong(&rules).len(), 1, "{keys}");
    }
}

#[test]
fn groups_merge_and_replace_what_stands_beside_them() {
    let rules = "g: &g {age: [$A]}\ncreation_rules: [{key_groups: [{merge: [*g], age: ['$B,$A']}]}]\n";
    assert_eq!(given(rules, "x"), "A B");
    let beside = "creation_rules:\n- age: $A\n  key_groups: [{age: [$B]}]\n";
    assert_eq!(given(beside, "x"), "B");
    assert!(wrong(beside)[0].contains("does not look at `age` beside `key_groups`"));
    assert_eq!(given("creation_rules: [{age: $A, key_groups: []}]", "x"), "A");
    let endless = "creation_rules: [{key_groups: [&g {merge: [*g], age: [$A]}]}]";
    assert_eq!(given(endless, "x"), "refused");
}

#[test]
fn keys_of_services_are_named_as_files_name_them() {
    for (rule, name) in [
        ("kms: 'arn:1 , arn:2+arn:role'", "kms arn:1 kms arn:2+arn:role"),
        ("key_groups: [{kms: [{arn: 'arn:2', role: 'arn:role', context: {a: b}}]}]", "kms arn:2+arn:role"),
        ("gcp_kms: [projects/p]", "gcp_kms projects/p"),
        ("key_groups: [{gcp_kms: [{resource_id: projects/p}]}]", "gcp_kms projects/p"),
        ("azure_keyvault: 'https://v/keys/k/1'", "azure_kv https://v/keys/k/1"),
        (
            "key_groups: [{azure_keyvault: [{vaultUrl: 'https://v', key: k, version: '1'}]}]",
            "azure_kv https://v/keys/k/1",
        ),
        ("hc_vault_transit_uri: https://v/v1/transit/keys/k", "hc_vault https://v/v1/transit/keys/k"),
        ("key_groups: [{hc_vault: [https://v/v1/transit/keys/k/]}]", "hc_vault https://v/v1/transit/keys/k"),
        ("hckms: ['r:1']", "hckms r:1"),
        ("pgp: 'be559f56 d9eee06750c0ceb6c13202594ed9c2c3'", "pgp BE559F56D9EEE06750C0CEB6C13202594ED9C2C3"),
        ("key_groups: [{pgp: ['A,B']}]", "refused"),
        ("hc_vault_transit_uri: foo", "refused"),
        ("azure_keyvault: foo", "refused"),
    ] {
        assert_eq!(given(&format!("creation_rules: [{{{rule}}}]"), "x"), name, "{rule}");
    }
}

#[test]
fn null_in_a_list_is_left_out() {
    assert_eq!(given("creation_rules:\n-\n- key_groups: [~, {age: [$A, ~]}]\n", "x"), "A");
}

#[test]
fn merge_keys_give_what_the_map_has_not() {
    let rules = |own: &str| format!("g: &g {{age: $A, encrypted_regex: k}}\ncreation_rules: [{{{own}}}]\n");
    assert_eq!(given(&rules("<<: *g"), "x"), "A");
    assert_eq!(given(&rules("age: $B, <<: *g"), "x"), "B");
    assert_eq!(given(&rules("<<: [*g], age: $B"), "x"), "B");
}

#[test]
fn the_dash_that_makes_two_groups_is_found() {
    let rules = "creation_rules:\n- key_groups:\n  - age: [$A]\n  - pgp: [BE559F56D9EEE06750C0CEB6C13202594ED9C2C3]\n";
    assert!(wrong(rules)[0].starts_with("4 split-groups rule 1: has 2 key groups"), "{:?}", wrong(rules));
    assert!(wrong(&rules.replace("  - pgp", "    pgp")).is_empty());
    let meant = rules.replace("- key_groups", "- shamir_threshold: 2\n  key_groups");
    assert!(wrong(&meant).is_empty(), "{:?}", wrong(&meant));
}

#[test]
fn thresholds_that_sops_refuses() {
    let rules = |threshold: usize| {
        format!("creation_rules:\n- shamir_threshold: {threshold}\n  key_groups: [{{age: [$A]}}, {{age: [$B]}}]\n")
    };
    assert!(wrong(&rules(1))[0].starts_with("2 bad-config") && wrong(&rules(3))[0].starts_with("2 bad-config"));
    assert_eq!(given(&rules(3), "x"), "refused");
    assert!(wrong("creation_rules: [{shamir_threshold: 2, age: $A}]").is_empty());
    assert!(
        wrong("creation_rules: [{key_groups: [{age: [$A]}, {}], shamir_threshold: 2}]")[0].contains("without keys")
    );
}

#[test]
fn what_sops_refuses_whole_is_a_finding_with_its_line() {
    for (text, line, why) in [
        ("creation_rules:\n\t- age: $A\n", 2, "is not valid YAML"),
        ("creation_rules:\n- age: *foo\n", 2, "alias"),
        ("- age: $A\n", 1, "must be a map"),
        ("creation_rules: {age: $A}\n", 1, "must be a list"),
        ("creation_rules:\n- hello\n", 2, "must be a map"),
        ("creation_rules:\n- age: $A\n  age: $B\n", 3, "stands twice"),
        ("creation_rules:\n- shamir_threshold: '2'\n", 2, "whole number"),
        ("creation_rules:\n- mac_only_encrypted: 'true'\n", 2, "true or false"),
        ("creation_rules:\n- path_regex: [x]\n", 2, "must be text"),
        ("creation_rules:\n- key_groups: [{age: $A}]\n", 2, "must be a list"),
    ] {
        let wrong = wrong(text);
        assert!(wrong[0].starts_with(&format!("{line} bad-config sops refuses it: ")), "{wrong:?}");
        assert!(wrong[0].contains(why), "{wrong:?}");
        assert_eq!(given(text, "x"), "refused", "{text}");
    }
}

#[test]
fn what_sops_takes_in_silence_is_a_finding_too() {
    for (text, why) in [
        ("creation_rules:\n- path_regexp: x\n  age: $A\n", "2 bad-config rule 1: sops does not know `path_regexp`"),
        ("creation_rules:\n- age: $A\n  encrypted_regex: (\n", "3 bad-config rule 1: `encrypted_regex` is no regular"),
        ("creation_rules:\n- age: $A\n- age: $B\n", "3 bad-config sops never comes to rule 2"),
        ("creation_rule:\n- age: $A\n", "1 bad-config sops does not know `creation_rule`"),
        (
            "creation_rules:\n- age: $A\n  encrypted_regex: a\n  encrypted_suffix: b\n",
            "3 bad-config rule 1: sops refuses it: it sets",
        ),
    ] {
        assert!(wrong(text).iter().any(|wrong| wrong.starts_with(why)), "{:?}", wrong(text));
    }
    for text in [
        "",
        "stores: {}\n",
        "creation_rules:\n",
        "creation_rules: []\n",
        "keys: [&a $A]\ncreation_rules: [{age: *a}]\n",
    ] {
        assert!(wrong(text).is_empty(), "{text}: {:?}", wrong(text));
    }
    assert_eq!(
        (given("stores: {}\n", "x"), given("creation_rules: []\n", "x")),
        ("no config".into(), "no rule".into())
    );
}

#[test]
fn no_finding_holds_a_private_key_that_stands_in_the_wrong_place() {
    let key = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
    let wrong = wrong(&format!("creation_rules: [{{age: {key}}}]\n"));
    assert!(wrong[0].contains("a private key") && !wrong[0].contains("QQQ"), "{wrong:?}");
}
