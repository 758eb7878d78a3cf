//! How what is told to people is written: plain, in colours on a terminal, or with levels for systemd's journal.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// How a line for people is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// The name of the program, in front of what is told.
    program: &'static str,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    /// With the control sequences of a terminal.
    Colours,
    /// With the kernel's levels in front of each line, as sd-daemon(3) has them. The journal names the program itself.
    Journal,
}

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may fail, or is not as it should be.
    Warning,
    /// Something to know.
    Info,
}

impl Voice {
    /// Plain text.
    pub const fn plain(program: &'static str) -> Self {
        Self { program, style: Style::Plain }
    }

    /// What fits standard error, where `file` is what it leads to. `variable` looks into the environment.
    ///
    /// `$JOURNAL_STREAM` is the device and the number of what systemd has made of it, if that is the journal
    /// (systemd.exec(5)). Colours are for terminals only, and not where `$NO_COLOR` is set to something (no-color.org).
    pub fn of(
        program: &'static str,
        is_terminal: bool,
        file: Option<&Metadata>,
        variable: &dyn Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Self {
        let is_journal = file
            .zip(variable("JOURNAL_STREAM"))
            .is_some_and(|(file, stream)| stream == OsStr::new(&format!("{}:{}", file.dev(), file.ino())));
        let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
        let is_dumb = variable("TERM").is_none_or(|terminal| terminal == "dumb");
        let style = match () {
            () if is_journal => Style::Journal,
            () if is_terminal && !is_dumb && !is_set("NO_COLOR") => Style::Colours,
            () => Style::Plain,
        };
        Self { program, style }
    }

    /// What is told, with its end of line. Its first line begins with a label such as `error:`, further lines with one of
    /// their own or with blanks; nothing that somebody else wrote may stand at the beginning of a line.
    pub fn told(self, level: Level, text: &str) -> String {
        let label = match level {
            Level::Error => "error: ",
            Level::Warning => "warning: ",
            Level::Info => "",
        };
        match self.style {
            Style::Plain => format!("{}: {label}{text}\n", self.program),
            Style::Colours => {
                let paint =
                    |line: &str| match ["help:", "note:"].iter().find(|label| line.trim_start().starts_with(**label)) {
                        Some(label) => line.replacen(label, &format!("\x1b[1m{label}\x1b[0m"), 1),
                        None => line.to_owned(),
                    };
                let colour = if level == Level::Error { "31" } else { "33" };
                let label = match label.trim_end() {
                    "" => String::new(),
                    label => format!("\x1b[1;{colour}m{label}\x1b[0m "),
                };
                format!("{}: {label}{}\n", self.program, text.split('\n').map(paint).collect::<Vec<_>>().join("\n"))
            }
            Style::Journal => {
                let number = match level {
                    Level::Error => 3,
                    Level::Warning => 4,
                    Level::Info => 6,
                };
                format!("{label}{text}").split('\n').map(|line| format!("<{number}>{line}\n")).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn voice(is_terminal: bool, variables: &[(&str, &str)]) -> Voice {
        let file = std::fs::metadata("/").unwrap();
        let stream = format!("{}:{}", file.dev(), file.ino());
        let variable = |name: &str| {
            let (_, value) = variables.iter().find(|(set, _)| *set == name)?;
            Some(OsString::from(if *value == "HERE" { &stream } else { *value }))
        };
        Voice::of("prog", is_terminal, Some(&file), &variable)
    }

    const TEXT: &str = "a: b\n  help: c\n  note: d help: e";

    #[test]
    fn colours_are_for_terminals() {
        let plain = "prog: error: a: b\n  help: c\n  note: d help: e\n";
        assert_eq!(voice(false, &[("TERM", "xterm")]).told(Level::Error, TEXT), plain);
        for variables in [&[][..], &[("TERM", "dumb")], &[("TERM", "xterm"), ("NO_COLOR", "1")]] {
            assert_eq!(voice(true, variables).told(Level::Error, TEXT), plain, "{variables:?}");
        }
        assert_eq!(
            voice(true, &[("TERM", "xterm"), ("NO_COLOR", "")]).told(Level::Error, TEXT),
            "prog: \x1b[1;31merror:\x1b[0m a: b\n  \x1b[1mhelp:\x1b[0m c\n  \x1b[1mnote:\x1b[0m d help: e\n"
        );
        assert_eq!(voice(true, &[("TERM", "xterm")]).told(Level::Info, "a"), "prog: a\n");
    }

    #[test]
    fn the_journal_gets_a_level_for_each_line() {
        let journal = voice(false, &[("JOURNAL_STREAM", "HERE")]);
        assert_eq!(journal.told(Level::Error, TEXT), "<3>error: a: b\n<3>  help: c\n<3>  note: d help: e\n");
        assert_eq!(journal.told(Level::Warning, "a"), "<4>warning: a\n");
        assert_eq!(journal.told(Level::Info, "a"), "<6>a\n");
        assert_eq!(voice(false, &[("JOURNAL_STREAM", "1:2")]).told(Level::Info, "a"), "prog: a\n");
    }
}
