//! What `--help` says is true.

use sops_install::cli;

/// The command lines of the program among the examples of a help text, without what stands around them.
fn examples(help: &str) -> Vec<Vec<String>> {
    let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
    let (examples, _) = examples.split_once("\n\n").unwrap_or((examples, ""));
    let command = |part: &str| {
        // What stands behind two blanks explains.
        let part = part.trim().split("  ").next()?.split(" > ").next()?.trim();
        let words = part.strip_prefix("sudo ").unwrap_or(part);
        words.starts_with("sops-install ").then(|| words.split_whitespace().map(str::to_owned).collect())
    };
    examples.lines().flat_map(|line| line.split(" | ")).filter_map(command).collect()
}

#[test]
fn every_command_has_examples_that_its_own_flags_allow() {
    let program = cli::command();
    let mut texts = vec![("sops-install".to_owned(), program.get_after_help().unwrap().to_string())];
    for command in program.get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Exit codes:\n"), "{}: {help}", command.get_name());
        texts.push((command.get_name().to_owned(), help));
    }
    for (name, help) in texts {
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{name}: {help}");
        for example in examples {
            let parsed = cli::command().try_get_matches_from(&example);
            assert!(parsed.is_ok(), "{example:?}: {parsed:?}");
        }
    }
}

#[test]
fn every_flag_is_explained() {
    for command in cli::command().get_subcommands() {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
    }
}
