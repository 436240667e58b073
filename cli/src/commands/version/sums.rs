//! A list of SHA-256 sums, as `sha256sum` writes and checks it.

/// The longest name in a list.
const LONGEST_NAME: usize = 255;

/// What a list says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sums<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Sums<'a> {
    /// Reads a list. Every line must be one of a sum.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let mut sums = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let entry = line.split_once(' ').and_then(|(sum, name)| {
                // A star is what `sha256sum --binary` writes.
                let name = name.strip_prefix([' ', '*'])?;
                let fits = sum.len() == 64
                    && sum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                    && (1..=LONGEST_NAME).contains(&name.len())
                    && !name.chars().any(char::is_control);
                fits.then_some((sum, name))
            });
            sums.push(entry.ok_or_else(|| {
                format!("line {} is no line of sha256sum: 64 digits, two spaces, a name", index + 1)
            })?);
        }
        Ok(Self(sums))
    }

    /// The sums of files with this name, in whatever folder.
    pub(super) fn of<'b>(&'b self, file: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        self.0.iter().filter(move |(_, name)| last(name) == file).map(|(sum, _)| *sum)
    }

    /// The name of a file with this sum.
    pub(super) fn name_of(&self, sum: &str) -> Option<&'a str> {
        self.0.iter().find(|(listed, _)| *listed == sum).map(|(_, name)| *name)
    }
}

/// The last part of a path in a list, whose separators are slashes everywhere.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn it_finds_files_by_name_in_every_folder() {
        let text =
            format!("{ONE}  a.deb\n{}  x/bin/ssctl\n{}  y/bin/ssctl\n", &ONE, "f".repeat(64));
        let sums = Sums::parse(&text).unwrap();
        assert_eq!(sums.of("a.deb").collect::<Vec<_>>(), [ONE]);
        assert_eq!(sums.of("ssctl").count(), 2);
        assert_eq!(sums.of("x/bin/ssctl").count(), 0);
        assert_eq!(sums.of("b.deb").count(), 0);
        assert_eq!(sums.name_of(&"f".repeat(64)), Some("y/bin/ssctl"));
    }

    #[test]
    fn what_sha256sum_does_not_write_is_refused_with_its_line() {
        for line in [
            "",
            "x",
            ONE,
            &format!("{ONE} a"),
            &format!("{ONE}  "),
            &format!("{ONE}  a\u{1b}[2J"),
            &format!("{}  a", ONE.to_uppercase()),
            &format!("{}g  a", &ONE[..63]),
            &format!("{ONE}0  a"),
            &format!("{ONE}  {}", "a".repeat(256)),
        ] {
            let text = format!("{ONE}  a\n{line}\n");
            let error = Sums::parse(&text).unwrap_err();
            assert!(error.starts_with("line 2 "), "{line:?}: {error}");
        }
        assert_eq!(Sums::parse(""), Ok(Sums(Vec::new())));
    }

    proptest! {
        #[test]
        fn whatever_it_is_given_it_answers(text in "\\PC{0,200}|[0-9a-f \\*\n/]{0,200}") {
            let _ = Sums::parse(&text);
        }
    }
}
