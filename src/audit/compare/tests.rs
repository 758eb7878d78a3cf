use super::*;
use crate::audit::config::Match;
use crate::audit::file::{Looked, look};

const A: &str = "age1xpkmwhazfgf9s7u68pv6hqa3fs0kf4a6g8ugqqmxypf04ccvyftsrdx7cy";
const B: &str = "age1s4eaxegr7upgukuhm0agcegqpduk3zw02jtfepllpftdeeya6g2qhc83vp";
const C: &str = "age1zg833xlxnse02944z227kpud4q7mcs6zu9wfss338vkud949ydzq9v77xw";
/// Encrypted to A and B.
const TWO: &str = include_str!("../../../tests/fixtures/encrypted/secrets.yaml");
/// Encrypted to the groups A, B and C, of which two are needed.
const THREE: &str = include_str!("../../../tests/fixtures/encrypted/shamir.yaml");

/// What is found of a file under a rule: the kinds and the texts.
fn found(text: &str, rule: &str) -> Vec<(&'static str, String, String)> {
    let rules = format!("keys: [&a {A}, &b {B}, &c {C}]\ncreation_rules:\n- {rule}\n");
    let configs = [Config::read(".sops.yaml".into(), "/repo".into(), true, rules.as_bytes())];
    let [config] = &configs;
    let Match::Rule(_, rule) = Match::of(Some(config), Path::new("/repo/x.yaml")) else {
        panic!("no rule: {:?}", config.findings)
    };
    let Looked::Sops(file) = look(Path::new("x.yaml"), text.as_bytes(), None) else { panic!("no sops file") };
    let people = People::of(&configs, std::iter::once(&file));
    let commands = Commands { config_here: Some("/repo/.sops.yaml".into()) };
    let comparison =
        Comparison { path: Path::new("x.yaml"), file: &file, config, rule, people: &people, commands: &commands };
    comparison
        .findings()
        .into_iter()
        .map(|finding| (finding.kind.name(), finding.what, finding.help.join("\n")))
        .collect()
}

fn kinds(text: &str, rule: &str) -> Vec<&'static str> {
    found(text, rule).into_iter().map(|(kind, ..)| kind).collect()
}

#[test]
fn a_file_as_its_rule_has_it_gives_nothing() {
    for rule in ["{age: [*a, *b]}", "{key_groups: [{age: [*b, *a]}]}", "{age: [*b, *a, *b], shamir_threshold: 2}"] {
        assert_eq!(kinds(TWO, rule), [""; 0], "{rule}");
    }
    let same = "{shamir_threshold: 2, key_groups: [{age: [*c]}, {age: [*a]}, {age: [*b]}]}";
    assert_eq!(kinds(THREE, same), [""; 0]);
}

#[test]
fn who_is_missing_and_who_is_still_there_is_said_by_name() {
    let found = found(TWO, "{age: [*a, *c]}");
    assert_eq!(found[0].0, "removed-recipient");
    assert_eq!(found[0].1, "b can decrypt it, and rule 1 of .sops.yaml does not say so");
    assert!(
        found[0].2.starts_with("`sops updatekeys x.yaml`\n") && found[0].2.contains("`sops rotate --in-place x.yaml`")
    );
    assert!(found[0].2.contains("b may have read them"));
    assert_eq!(
        (found[1].0, &*found[1].1),
        ("missing-recipient", "c cannot decrypt it, though rule 1 of .sops.yaml says so")
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn other_groups_and_thresholds() {
    let found = |rule: &str| found(THREE, rule);
    let one = found("{age: [*a, *b, *c]}");
    assert_eq!((one.len(), one[0].0), (1, "key-groups"));
    assert!(one[0].2.contains("updatekeys"));
    let all = found("{shamir_threshold: 3, key_groups: [{age: [*a]}, {age: [*b]}, {age: [*c]}]}");
    assert_eq!(
        all[0].1,
        "it takes keys of 2 of its 3 groups; by rule 1 of .sops.yaml it takes a key of each of its 3 groups"
    );
    assert!(all[0].2.contains("sops encrypt --filename-override"), "updatekeys keeps the threshold: {}", all[0].2);
    let mixed = found("{shamir_threshold: 2, key_groups: [{age: [*a, *b]}, {age: [*b]}, {age: [*c]}]}");
    assert_eq!(mixed[0].1, "its key groups hold other keys than those of rule 1 of .sops.yaml");
}

#[test]
fn other_rules_for_what_is_encrypted() {
    let found = found(TWO, "{age: [*a, *b], encrypted_regex: ^data}");
    assert_eq!((found.len(), found[0].0), (1, "encryption-rule"));
    assert!(
        found[0].1.contains("`unencrypted_suffix: _unencrypted`") && found[0].1.contains("`encrypted_regex: ^data`")
    );
    assert_eq!(kinds(TWO, "{age: [*a, *b], unencrypted_suffix: _unencrypted}"), [""; 0]);
    assert_eq!(kinds(TWO, "{age: [*a, *b], mac_only_encrypted: true}"), ["encryption-rule"]);
}

#[test]
fn a_command_names_the_config_that_sops_would_not_find_from_here() {
    let config = Config::read("sub/.sops.yaml".into(), "/repo/sub".into(), true, b"");
    let commands = Commands { config_here: Some("/repo/.sops.yaml".into()) };
    let file = Path::new("sub/a b.enc");
    assert_eq!(
        commands.update_keys(&config, file, Some(Format::Yaml)),
        "`sops --config sub/.sops.yaml updatekeys --input-type yaml 'sub/a b.enc'`"
    );
    assert_eq!(commands.encrypt(&config, file), "`sops --config sub/.sops.yaml encrypt --in-place 'sub/a b.enc'`");
}
