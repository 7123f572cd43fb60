//! One command to run: with a title for people, and the line that repeats it in a shell.

use crate::Result;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program, its arguments and the variables it gets on top of ours.
#[derive(Clone, Debug)]
pub struct Step {
    pub title: String,
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Step {
    /// A step from a command line whose words contain no spaces.
    pub fn new(title: impl Into<String>, line: &str) -> Self {
        let mut words = line.split_whitespace().map(str::to_owned);
        Self {
            title: title.into(),
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            env: Vec::new(),
        }
    }

    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub fn envs(mut self, env: &[(String, String)]) -> Self {
        self.env.extend_from_slice(env);
        self
    }

    /// Runs it with our terminal as its own and returns the time it took.
    pub fn run(&self) -> Result<Duration> {
        let start = Instant::now();
        let status = self.command().status();
        match status {
            Ok(status) if status.success() => Ok(start.elapsed()),
            Ok(status) => Err(self.failed(&status.to_string())),
            Err(e) => Err(self.failed(&e.to_string())),
        }
    }

    /// Runs it and returns what it printed; its messages still reach the terminal.
    pub fn output(&self) -> Result<String> {
        let output = self.command().stderr(Stdio::inherit()).output();
        match output {
            Ok(out) if out.status.success() => {
                String::from_utf8(out.stdout).map_err(|e| self.failed(&e.to_string()))
            }
            Ok(out) => Err(self.failed(&out.status.to_string())),
            Err(e) => Err(self.failed(&e.to_string())),
        }
    }

    /// What it prints, if it runs and succeeds; its messages are dropped.
    pub fn quiet_output(&self) -> Option<String> {
        let output = self.command().stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(text)
    }

    /// Whether it runs and succeeds; says nothing.
    pub fn succeeds(&self) -> bool {
        self.quiet_output().is_some()
    }

    /// The line that does the same in a shell, from the root of the repository.
    pub fn line(&self) -> String {
        let env = self.env.iter().map(|(k, v)| format!("{k}={}", quote(v)));
        let words = std::iter::once(&self.program).chain(&self.args);
        let words = words.map(|word| quote(word));
        env.chain(words).collect::<Vec<_>>().join(" ")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command
    }

    fn failed(&self, why: &str) -> String {
        let (title, line) = (&self.title, self.line());
        format!("{title}: failed ({why}). To run it again:\n\n    {line}\n")
    }
}

/// `word` as a POSIX shell reads it back.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_can_be_pasted() {
        let step = Step::new("docs", "cargo doc --no-deps").args(["it's"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(step.line(), r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'");
    }

    #[test]
    fn a_failure_names_the_line() {
        let message = Step::new("nothing", "false now").run().unwrap_err();
        assert!(message.starts_with("nothing: failed (exit status: 1)"));
        assert!(message.contains("    false now\n"));
    }

    #[test]
    fn output_is_what_was_printed() {
        assert_eq!(Step::new("echo", "echo a b").output().unwrap(), "a b\n");
        assert!(!Step::new("none", "no-such-program-anywhere").succeeds());
    }
}
