//! What belongs to this machine: the context file, variables, the terminal, completion.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory as _;
use streamspace_client::{ClientError, Contexts, context::nearest};

use super::check::Check;
use crate::{commands::Cli, shell::Shell};

/// Variables that take the place of something in the context file, and of what.
const OVERRIDES: [(&str, &str); 4] = [
    ("SSCTL_CONFIG", "the place of the context file"),
    ("SSCTL_CONTEXT", "the current context of the file"),
    ("SSCTL_ENDPOINT", "the file's contexts, where none is named"),
    ("SSCTL_CREDENTIAL_STORE", "the keyring, at the next login"),
];
/// Those that `SSCTL_ENDPOINT` needs, and has meaning to alone.
const COMPANIONS: [&str; 3] = ["SSCTL_CA", "SSCTL_CLIENT_CERT", "SSCTL_CLIENT_KEY"];

/// What the machine's variables are asked for, so that tests can say what they are.
pub(super) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The file of contexts.
pub(super) fn context_file(shell: &Shell) -> Check {
    const NAME: &str = "context file";
    let path = shell.environment.contexts_file();
    let contexts = match Contexts::load(&shell.environment) {
        Ok(contexts) => contexts,
        Err(error) => return Check::error(NAME, &ClientError::from(error)),
    };
    let place = path.display();
    if contexts.iter().next().is_none() {
        let message = format!("{place} has no contexts");
        // Variables can be all there is, as in CI.
        if shell.environment.plain_context().is_ok_and(|context| context.is_some()) {
            return Check::ok(NAME, format!("{message}; SSCTL_ENDPOINT takes their place"));
        }
        let none = streamspace_client::context::ContextError::NoneChosen { known: Vec::new() };
        let next = ClientError::from(none).next_step().unwrap_or_default();
        return Check::failed(NAME, message, next);
    }
    if let Some(open) = writable(&path, EVERYBODY) {
        return Check::failed(
            NAME,
            format!(
                "{} can be written by everybody, who could lead you to another daemon",
                open.display()
            ),
            format!("run `chmod go-w {}`, then look at `ssctl context list`", open.display()),
        );
    }
    let count = contexts.iter().count();
    let count = if count == 1 { "1 context".to_owned() } else { format!("{count} contexts") };
    match contexts.current() {
        Some(name) if contexts.get(name).is_err() => Check::failed(
            NAME,
            format!("{place}: {name} is current, and there is no such context"),
            "choose one with `ssctl context use NAME`",
        ),
        Some(name) => Check::ok(NAME, format!("{place}: {count}, {name} is current")),
        None => Check::warning(
            NAME,
            format!("{place}: {count}, none is current"),
            "choose one with `ssctl context use NAME`",
        ),
    }
}

/// The bits of a file's mode that let everybody write. A group can be its owner's own.
const EVERYBODY: u32 = 0o002;

/// The file or its folder, where these bits let somebody else write it.
fn writable(path: &Path, bits: u32) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let is_open = |path: &Path| {
            // A folder with the sticky bit lets nobody replace what another owns.
            let mode = fs::metadata(path).ok()?.permissions().mode();
            (mode & bits != 0 && mode & 0o1000 == 0).then(|| path.to_owned())
        };
        is_open(path).or_else(|| is_open(path.parent()?))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, bits);
        None
    }
}

/// The variables that change what the commands do.
pub(super) fn variables(names: &[String], variable: Variable<'_>) -> Check {
    const NAME: &str = "environment";
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let known = known_variables();
    let stranger = names
        .iter()
        .filter(|name| name.starts_with("SSCTL_") && !known.contains(*name))
        .find(|name| is_set(name));
    if let Some(stranger) = stranger {
        let meant = nearest(stranger, &known);
        let next = match meant {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("unset it; there is: {}", known.join(", ")),
        };
        return Check::warning(NAME, format!("{stranger} is set, and nothing reads it"), next);
    }
    if !is_set("SSCTL_ENDPOINT")
        && let Some(lone) = COMPANIONS.into_iter().find(|name| is_set(name))
    {
        return Check::warning(
            NAME,
            format!("{lone} is set, and without SSCTL_ENDPOINT nothing reads it"),
            "set SSCTL_ENDPOINT too, or unset it",
        );
    }
    let overriding: Vec<String> = OVERRIDES
        .into_iter()
        .filter_map(|(name, what)| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some(format!("{name}={value} takes {}", place(what)))
        })
        .collect();
    if overriding.is_empty() {
        return Check::ok(NAME, "no variable overrides anything");
    }
    Check::ok(NAME, overriding.join("\n"))
}

fn place(what: &str) -> String {
    if what.starts_with("the place") { what.to_owned() } else { format!("the place of {what}") }
}

/// Every variable of ours.
fn known_variables() -> Vec<String> {
    let mut known: Vec<String> =
        OVERRIDES.into_iter().map(|(name, _)| name).chain(COMPANIONS).map(str::to_owned).collect();
    collect_variables(&Cli::command(), &mut known);
    known.sort();
    known.dedup();
    known
}

fn collect_variables(command: &clap::Command, known: &mut Vec<String>) {
    let own = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(own.map(|name| name.to_string_lossy().into_owned()));
    for child in command.get_subcommands() {
        collect_variables(child, known);
    }
}

/// What tables and the dashboard are drawn on.
pub(super) fn terminal(shell: &Shell, variable: Variable<'_>) -> Check {
    const NAME: &str = "terminal";
    /// What most tables need.
    const NARROW: u16 = 80;
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    if !shell.terminal.unicode {
        let locale = locale.unwrap_or_default();
        return Check::warning(
            NAME,
            format!("the locale {locale} is not UTF-8: only ASCII is drawn"),
            "set LANG=C.UTF-8, or your own with .UTF-8",
        );
    }
    let output = shell.terminal.output;
    let colour = if output.colour { "colour" } else { "no colour" };
    if !output.terminal {
        return Check::ok(NAME, format!("the output is no terminal: {colour}, plain columns"));
    }
    let term = variable("TERM").unwrap_or_default();
    if term.is_empty() || term == "dumb" {
        return Check::warning(
            NAME,
            format!("TERM is {term:?}: no colour, and `ssctl ui` cannot draw"),
            "set TERM to what the terminal is, for example xterm-256color",
        );
    }
    let width = comfy_table::Table::new().width().unwrap_or(NARROW);
    let found = format!("{term}, {width} columns, {colour}, UTF-8");
    if width < NARROW {
        let next = "make it wider, or use -o name, json or csv";
        return Check::warning(NAME, format!("{found}: tables leave columns out"), next);
    }
    Check::ok(NAME, found)
}

/// Whether the shell completes our commands.
pub(super) fn completion(variable: Variable<'_>) -> Check {
    const NAME: &str = "completion";
    let shell = variable("SHELL").unwrap_or_default();
    let shell = Path::new(&shell).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
    let data = |default: &str| {
        let own = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        own.unwrap_or_else(|| home.join(default))
    };
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.unwrap_or_else(|| home.join(".config"));
    let (files, rc): (Vec<PathBuf>, Vec<PathBuf>) = match shell {
        "bash" => (
            vec![
                data(".local/share").join("bash-completion/completions/ssctl"),
                "/usr/share/bash-completion/completions/ssctl".into(),
                "/usr/local/share/bash-completion/completions/ssctl".into(),
                "/etc/bash_completion.d/ssctl".into(),
            ],
            vec![home.join(".bashrc"), home.join(".bash_profile")],
        ),
        "zsh" => (
            vec![
                "/usr/share/zsh/site-functions/_ssctl".into(),
                "/usr/share/zsh/vendor-completions/_ssctl".into(),
                "/usr/local/share/zsh/site-functions/_ssctl".into(),
            ],
            vec![home.join(".zshrc")],
        ),
        "fish" => (
            vec![
                config.join("fish/completions/ssctl.fish"),
                "/usr/share/fish/vendor_completions.d/ssctl.fish".into(),
            ],
            vec![config.join("fish/config.fish")],
        ),
        "" => return Check::ok(NAME, "SHELL is not set: nobody types here"),
        other => {
            return Check::ok(NAME, format!("not looked for in {other}"));
        }
    };
    let installed = files.into_iter().find(|path| path.is_file()).or_else(|| {
        let calls = |path: &PathBuf| {
            fs::read_to_string(path).is_ok_and(|text| text.contains("ssctl completion"))
        };
        rc.into_iter().find(calls)
    });
    match installed {
        Some(path) => Check::ok(NAME, format!("{shell}: {}", path.display())),
        None => Check::warning(
            NAME,
            format!("{shell} does not complete ssctl"),
            "`ssctl completion --help` tells how to install it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        move |name| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn names(pairs: &[(&str, &str)]) -> Vec<String> {
        pairs.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn variables_that_override_are_named() {
        let checked = |pairs: &[(&str, &str)]| variables(&names(pairs), &set(pairs));
        assert_eq!(checked(&[]).state, State::Ok);
        let check = checked(&[("SSCTL_CONTEXT", "prod"), ("SSCTL_CONFIG", "/x")]);
        assert_eq!(check.state, State::Ok);
        assert!(check.message.contains("SSCTL_CONTEXT=prod takes the place of"), "{check:?}");
        // A token is a secret; it is known, and not shown.
        let check = checked(&[("SSCTL_TOKEN", "sst1_secret")]);
        assert_eq!((check.state, check.message.contains("secret")), (State::Ok, false));
    }

    #[test]
    fn variables_that_nobody_reads_are_found() {
        let checked = |pairs: &[(&str, &str)]| variables(&names(pairs), &set(pairs));
        let check = checked(&[("SSCTL_CONTEX", "prod")]);
        assert_eq!(check.state, State::Warning);
        assert_eq!(check.next, "did you mean SSCTL_CONTEXT?");
        let check = checked(&[("SSCTL_CA", "/ca.pem")]);
        assert_eq!(check.state, State::Warning, "{check:?}");
        assert!(check.message.contains("without SSCTL_ENDPOINT"), "{check:?}");
    }

    #[test]
    fn completion_is_found_where_shells_look() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap();
        let checked = |shell: &str| completion(&set(&[("SHELL", shell), ("HOME", path)]));
        for shell in ["/usr/bin/zsh", "/usr/bin/fish"] {
            assert_eq!(checked(shell).state, State::Warning, "{shell}");
        }
        fs::write(home.path().join(".zshrc"), "source <(ssctl completion zsh)\n").unwrap();
        assert_eq!(checked("/bin/zsh").state, State::Ok);
        let folder = home.path().join(".config/fish/completions");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ssctl.fish"), "").unwrap();
        assert_eq!(checked("fish").state, State::Ok);
        assert_eq!(checked("").state, State::Ok);
        assert_eq!(checked("/bin/tcsh").state, State::Ok);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_write_is_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("contexts.toml");
        fs::write(&file, "").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&file, 0o644);
        assert_eq!(writable(&file, EVERYBODY), None);
        mode(&file, 0o646);
        assert_eq!(writable(&file, EVERYBODY), Some(file.clone()));
        mode(&file, 0o644);
        mode(folder.path(), 0o777);
        assert_eq!(writable(&file, EVERYBODY).as_deref(), Some(folder.path()));
    }
}
