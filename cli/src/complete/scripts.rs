//! What a shell reads once. Each script asks the program at every TAB.
//!
//! They are ours and not those of `clap_complete`, whose engine finds the candidates: in
//! bash its script lets the shell expand what comes back and gets words cut at `=` and
//! `@`, and the names of a region come from elsewhere.

use clap_complete::Shell as Dialect;

/// Reads lines. A line that begins with a colon is for the script: `:files` leaves the
/// work to the shell, `:nospace` says that more follows the word.
const BASH: &str = r#"# Completion of ssctl for bash.
_ssctl() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in
        :files) compopt -o default 2>/dev/null; return 0 ;;
        :nospace) compopt -o nospace 2>/dev/null ;;
        *) COMPREPLY+=("$line") ;;
        esac
    done < <(PROGRAM __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -F _ssctl ssctl
"#;

/// Lines of a word, a tab, and what is said about it.
const ZSH: &str = r#"#compdef ssctl
# Completion of ssctl for zsh.
_ssctl() {
    local line word
    local -a words_found shown more
    while IFS= read -r line; do
        case "$line" in
        :files)
            [[ "$PREFIX" == --*=* ]] && compset -P '*='
            _files
            return
            ;;
        :nospace) more=(-S '') ;;
        *)
            word="${line%%$'\t'*}"
            words_found+=("$word")
            if [[ "$line" == *$'\t'* ]]; then
                shown+=("$word  -- ${line#*$'\t'}")
            else
                shown+=("$word")
            fi
            ;;
        esac
    done < <(PROGRAM __complete zsh "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#words_found )) && compadd -l -d shown "${more[@]}" -a words_found
}
if [ "$funcstack[1]" = "_ssctl" ]; then
    _ssctl "$@"
else
    compdef _ssctl ssctl
fi
"#;

const FISH: &str = r#"# Completion of ssctl for fish.
function __ssctl_complete
    set -l before (commandline --current-process --tokenize --cut-at-cursor)
    set -l lines (PROGRAM __complete fish $before (commandline --current-token --cut-at-cursor) 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path (commandline --current-token --cut-at-cursor)
    else if set --query lines[1]
        string match --invert -- ':nospace' $lines
    end
end
complete --command ssctl --no-files --arguments '(__ssctl_complete)'
"#;

/// The script of a shell, where we have one.
pub(crate) fn script(dialect: Dialect, program: &str) -> Option<String> {
    let (script, program) = match dialect {
        Dialect::Bash => (BASH, posix_quoted(program)),
        Dialect::Zsh => (ZSH, posix_quoted(program)),
        Dialect::Fish => (FISH, fish_quoted(program)),
        _ => return None,
    };
    Some(script.replace("PROGRAM", &program))
}

fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    !word.is_empty() && word.bytes().all(plain)
}

fn posix_quoted(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn fish_quoted(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_at_any_path_is_called() {
        let script = script(Dialect::Bash, "/opt/my tools/it's/ssctl").unwrap();
        assert!(script.contains(r"< <('/opt/my tools/it'\''s/ssctl' __complete bash"), "{script}");
        assert_eq!(fish_quoted(r"a\b'c d"), r"'a\\b\'c d'");
        assert_eq!(posix_quoted("/usr/bin/ssctl"), "/usr/bin/ssctl");
    }
}
