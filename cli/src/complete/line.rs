//! What stands before the cursor, as words.

/// A command line up to the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// The words before the one that is completed, the program's first.
    pub(super) before: Vec<String>,
    /// The beginning of the one that is completed.
    pub(super) word: String,
    /// How much of the beginning, in bytes, bash keeps by itself: what it completes begins
    /// behind it.
    pub(super) kept: usize,
}

/// Reads a line of bash up to the cursor. Bash gives its words as well, but cut at characters that our
/// words can have: `--context=dev` is three of them, `ada@example.com` too.
///
/// `breaks` is the value of `COMP_WORDBREAKS`. Nothing is expanded: what a variable or a
/// command in the line would be, only the shell may find out.
pub(super) fn read(line: &str, breaks: &str) -> Typed {
    let mut typed = Typed::default();
    let mut quote = None;
    let mut in_word = false;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some('"'), '\\') => match letters.next() {
                Some(next @ ('"' | '\\' | '$' | '`')) => typed.word.push(next),
                Some(next) => {
                    typed.word.push(letter);
                    typed.word.push(next);
                }
                None => {}
            },
            (Some(_), _) => typed.word.push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                in_word = true;
                typed.kept = typed.word.len();
            }
            (None, '\\') => {
                in_word = true;
                typed.word.extend(letters.next());
            }
            (None, ' ' | '\t' | '\n') => {
                if in_word {
                    typed.before.push(std::mem::take(&mut typed.word));
                }
                (in_word, typed.kept) = (false, 0);
            }
            (None, _) => {
                in_word = true;
                typed.word.push(letter);
                if breaks.contains(letter) {
                    typed.kept = typed.word.len();
                }
            }
        }
    }
    let assignments = typed.before.iter().take_while(|word| is_assignment(word)).count();
    typed.before.drain(..assignments);
    typed
}

/// `NAME=value` before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an interactive bash has it.
    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn typed(line: &str) -> (Vec<String>, String, usize) {
        let Typed { before, word, kept } = read(line, BREAKS);
        (before, word, kept)
    }

    #[test]
    fn words_are_put_together_again() {
        for (line, before, word, kept) in [
            ("ssctl ", vec!["ssctl"], "", 0),
            ("ssctl tenant show ac", vec!["ssctl", "tenant", "show"], "ac", 0),
            ("ssctl --context=de", vec!["ssctl"], "--context=de", 10),
            ("ssctl --context=", vec!["ssctl"], "--context=", 10),
            ("ssctl operator lock ada@ex", vec!["ssctl", "operator", "lock"], "ada@ex", 4),
            ("ssctl cert show 0a:1", vec!["ssctl", "cert", "show"], "0a:1", 3),
            ("ssctl a=b c", vec!["ssctl", "a=b"], "c", 0),
            ("A=1 B_2=x ssctl te", vec!["ssctl"], "te", 0),
            ("ssctl tenant show \"ac", vec!["ssctl", "tenant", "show"], "ac", 0),
            ("ssctl 'a b' c\\ d", vec!["ssctl", "a b"], "c d", 0),
            ("ssctl \"a\\\"b\\c\" ", vec!["ssctl", "a\"b\\c"], "", 0),
            ("ssctl --filter 'x=1", vec!["ssctl", "--filter"], "x=1", 0),
            ("ssctl '' x", vec!["ssctl", ""], "x", 0),
            ("ssctl a\\", vec!["ssctl"], "a", 0),
            ("", vec![], "", 0),
        ] {
            let before: Vec<String> = before.into_iter().map(str::to_owned).collect();
            assert_eq!(typed(line), (before, word.to_owned(), kept), "{line}");
        }
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(typed("ssctl $(touch /tmp/x) `y` $HOME").1, "$HOME");
    }
}
