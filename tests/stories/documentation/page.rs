//! A page of the documentation as the tests read it: what it needs, and its blocks.
//!
//! What a page needs stands in a comment at its top:
//!
//! ```text
//! <!-- set-up: dev
//! person: grace operator
//! also: eu-west-1
//! before: ssctl tenant create gamma-kg --plan business --seats 10
//! replace: control.example.com = {grpc}
//! -->
//! ```
//!
//! `set-up` is `none`, `dev` (`streamspaced dev` on the simulator), `kubectl` (the same on
//! a real kube-apiserver), `region` (a region on a real PostgreSQL and a real
//! kube-apiserver), or `host` (these two and no region yet).
//! Each block of commands is run, unless a comment before it says why not:
//!
//! ```text
//! <!-- not run: it installs packages -->
//! <!-- as: grace -->
//! <!-- first: rm -f tenants.yaml -->
//! <!-- ID: ssctl approval list -o name -->
//! ```
//!
//! The second has a person of the page run the block, the third is run before it and not
//! shown, and the last tells what stands in the place of a word in capitals.

use std::{fs, path::Path};

/// Languages of blocks that hold no commands.
const DATA: [&str; 7] = ["toml", "yaml", "json", "text", "proto", "promql", "html"];

/// Words that a command of ours, or one beside it, begins with.
const PROGRAMS: [&str; 9] = [
    "ssctl",
    "streamspaced",
    "kubectl",
    "make",
    "export",
    "systemctl",
    "apt-get",
    "helm",
    "terraform",
];

/// What a page needs to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The kind of region.
    pub(crate) set_up: SetUp,
    /// Further people with their roles.
    pub(crate) people: Vec<(String, String)>,
    /// Further development regions.
    pub(crate) also: Vec<String>,
    /// What is run before, and not shown.
    pub(crate) before: Vec<String>,
    /// Names that exist at the reader's only, and what stands for them here.
    pub(crate) replace: Vec<(String, String)>,
}

/// The kind of region that a page is run against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SetUp {
    /// None at all.
    #[default]
    None,
    /// `streamspaced dev` on the simulator.
    Dev,
    /// `streamspaced dev` on a real kube-apiserver.
    Kubectl,
    /// A region on a real PostgreSQL and a real kube-apiserver.
    Region,
    /// A PostgreSQL and a kube-apiserver, and no region yet.
    Host,
}

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Below the root of the project.
    pub(crate) name: String,
    /// Its lines.
    pub(crate) lines: Vec<String>,
    /// What it needs.
    pub(crate) needs: Needs,
    /// Its blocks of commands, in order.
    pub(crate) blocks: Vec<Block>,
}

/// A block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The first line behind the fence, counted from 0.
    pub(crate) start: usize,
    /// The line of the closing fence.
    pub(crate) end: usize,
    /// Who runs it; the page's reader where it is not said.
    pub(crate) person: Option<String>,
    /// Why it is not run, where it is not.
    pub(crate) not_run: Option<String>,
    /// What is run before it and not shown.
    pub(crate) before: Vec<String>,
    /// Words in capitals, and the command that prints what stands for them.
    pub(crate) placeholders: Vec<(String, String)>,
    /// Its commands.
    pub(crate) commands: Vec<Command>,
    /// It goes on until Ctrl-C, in a terminal of its own.
    pub(crate) goes_on: bool,
}

/// A command with what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The command, over several lines where it has them.
    pub(crate) text: String,
    /// What follows it; `None` in a block that shows no output.
    pub(crate) shown: Option<Vec<String>>,
    /// The lines of the page that `shown` stands in.
    pub(crate) place: std::ops::Range<usize>,
    /// How it must end; `None` where the page goes on to ask.
    pub(crate) code: Option<i32>,
}

impl Page {
    /// Reads a page. The error says in which line what is wrong.
    pub(crate) fn read(root: &Path, name: &str) -> Result<Self, String> {
        let text = fs::read_to_string(root.join(name)).map_err(|e| format!("{name}: {e}"))?;
        Self::parse(name, &text)
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut page =
            Self { name: name.to_owned(), lines, needs: Needs::default(), blocks: Vec::new() };
        let mut comments: Vec<String> = Vec::new();
        let mut at = 0;
        while at < page.lines.len() {
            let line = page.lines[at].trim().to_owned();
            let number = at + 1;
            let wrong = |what: &str| format!("{name}:{number}: {what}");
            if let Some(comment) = line.strip_prefix("<!--") {
                let mut words = comment.to_owned();
                while !words.contains("-->") {
                    at += 1;
                    let next = page.lines.get(at).ok_or_else(|| wrong("the comment has no end"))?;
                    words = format!("{words}\n{next}");
                }
                let words = words.split("-->").next().unwrap_or_default().trim().to_owned();
                if let Some(rest) = words.strip_prefix("set-up:") {
                    page.needs = Needs::parse(rest).map_err(|what| wrong(&what))?;
                } else {
                    comments.push(words);
                }
            } else if let Some(language) = line.strip_prefix("```") {
                let start = at + 1;
                let length = page.lines[start..].iter().position(|line| line.trim() == "```");
                let end = start + length.ok_or_else(|| wrong("the block has no end"))?;
                page.block(language, start..end, &comments).map_err(|what| wrong(&what))?;
                comments.clear();
                at = end;
            } else if !line.is_empty() {
                comments.clear();
            }
            at += 1;
        }
        Ok(page)
    }

    fn block(
        &mut self,
        language: &str,
        place: std::ops::Range<usize>,
        comments: &[String],
    ) -> Result<(), String> {
        let mut block = Block {
            start: place.start,
            end: place.end,
            person: None,
            not_run: None,
            before: Vec::new(),
            placeholders: Vec::new(),
            commands: Vec::new(),
            goes_on: false,
        };
        for comment in comments {
            block.take(comment)?;
        }
        let body = &self.lines[place.clone()];
        match language {
            "console" => {
                block.goes_on = body.iter().any(|line| line == "^C");
                block.commands = console(body, place.start)?;
            }
            "sh" => block.commands = script(body, place.start)?,
            // Pictures that `docs/architecture.md` is held to.
            _ if language.starts_with("house") || language.starts_with("arrows") => return Ok(()),
            _ => {
                let is_data = DATA.contains(&language);
                let is_command = |line: &&String| {
                    let first = line.trim_start_matches("$ ").split(' ').next();
                    line.starts_with("$ ") || first.is_some_and(|word| PROGRAMS.contains(&word))
                };
                return match body.iter().find(is_command) {
                    _ if !is_data => Err(format!(
                        "a block of {language:?}: commands are `sh`, commands with what they show \
                         `console`, and data one of {DATA:?}"
                    )),
                    Some(line) => Err(format!("a command in a block of data: {line}")),
                    None => Ok(()),
                };
            }
        }
        self.blocks.push(block);
        Ok(())
    }
}

impl Needs {
    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let set_up = match lines.next() {
            Some("none") => SetUp::None,
            Some("dev") => SetUp::Dev,
            Some("kubectl") => SetUp::Kubectl,
            Some("region") => SetUp::Region,
            Some("host") => SetUp::Host,
            other => {
                return Err(format!("set-up {other:?} is not none, dev, kubectl, region or host"));
            }
        };
        let mut needs = Self { set_up, ..Self::default() };
        for line in lines {
            let (key, value) = line.split_once(": ").ok_or_else(|| format!("what is {line:?}?"))?;
            let pair = |by: &str| {
                let pair = value.split_once(by).map(|(a, b)| (a.trim().into(), b.trim().into()));
                pair.ok_or_else(|| format!("{key} takes two words: {line:?}"))
            };
            match key {
                "person" => needs.people.push(pair(" ")?),
                "replace" => needs.replace.push(pair(" = ")?),
                "also" => needs.also.push(value.to_owned()),
                "before" => needs.before.push(value.to_owned()),
                _ => return Err(format!("a set-up has no {key:?}")),
            }
        }
        Ok(needs)
    }
}

impl Block {
    /// Takes a comment that stands before it.
    fn take(&mut self, comment: &str) -> Result<(), String> {
        let Some((key, value)) = comment.split_once(':') else { return Ok(()) };
        let value = value.trim();
        let is_placeholder = !key.is_empty() && key.chars().all(|c| c.is_ascii_uppercase());
        match key.trim() {
            "not run" if value.split(' ').count() < 3 => {
                return Err(format!("`not run` wants a reason, and {value:?} is none"));
            }
            "not run" => self.not_run = Some(value.to_owned()),
            "as" => self.person = Some(value.to_owned()),
            "first" => self.before.push(value.to_owned()),
            key if is_placeholder => self.placeholders.push((key.into(), value.into())),
            // Other comments are for people who edit the page.
            _ => {}
        }
        Ok(())
    }
}

/// Commands behind `$ `, each with what it shows. A `> ` goes on with the command.
fn console(body: &[String], start: usize) -> Result<Vec<Command>, String> {
    let mut commands: Vec<Command> = Vec::new();
    for (index, line) in body.iter().enumerate() {
        let at = start + index;
        if let Some(text) = line.strip_prefix("$ ") {
            if text == "echo $?"
                && let Some(before) = commands.last_mut()
            {
                before.code = None;
            }
            commands.push(Command {
                text: text.to_owned(),
                shown: Some(Vec::new()),
                place: at + 1..at + 1,
                code: Some(0),
            });
            continue;
        }
        let command =
            commands.last_mut().ok_or("a block of console begins with a `$ ` and a command")?;
        match (line.strip_prefix("> "), command.shown.as_mut()) {
            (Some(more), Some(shown)) if shown.is_empty() && is_open(&command.text) => {
                command.text = format!("{}\n{more}", command.text);
                command.place = at + 1..at + 1;
            }
            (_, Some(shown)) => {
                shown.push(line.clone());
                command.place.end = at + 1;
            }
            (_, None) => {}
        }
    }
    Ok(commands)
}

/// Commands without what they show, as in a script.
fn script(body: &[String], start: usize) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    let mut open = String::new();
    for (index, line) in body.iter().enumerate() {
        if open.is_empty() && (line.trim().is_empty() || line.starts_with('#')) {
            continue;
        }
        if !open.is_empty() {
            open.push('\n');
        }
        open.push_str(line);
        if is_open(&open) {
            continue;
        }
        let code = match line.split_once("# ends with ") {
            None => 0,
            Some((_, rest)) => {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().map_err(|_| format!("{rest:?} is no exit code"))?
            }
        };
        let at = start + index + 1;
        let text = std::mem::take(&mut open);
        commands.push(Command { text, shown: None, place: at..at, code: Some(code) });
    }
    if open.is_empty() { Ok(commands) } else { Err(format!("{open:?} has no end")) }
}

/// Whether a shell would wait for more: a backslash at the end, an open quote, loop or
/// here-document. The shell itself is asked.
fn is_open(text: &str) -> bool {
    if text.ends_with('\\') {
        return true;
    }
    let checked = std::process::Command::new("bash").args(["-n", "-c", text]).output();
    let said = checked.expect("bash is there").stderr;
    let said = String::from_utf8_lossy(&said);
    said.contains("unexpected end of file")
        || said.contains("unexpected EOF")
        || said.contains("delimited by end-of-file")
}

#[test]
fn a_page_is_read() {
    let text = "<!-- set-up: dev\nperson: grace operator\nbefore: ssctl tenant list\n-->\n# A page\n\n\
                ```console\n$ ssctl a 'b c' \\\n> -d\none\n$ echo $?\n3\n```\n\n\
                <!-- not run: it takes a whole day -->\n\n```sh\nmake soak\n```\n\n\
                <!-- as: grace -->\n<!-- ID: ssctl x -o name -->\n```sh\nfor a in 1 2; do\n  ssctl $a\n\
                done\nssctl no ID  # ends with 13\n```\n```console\n$ ssctl watch\nit\n^C\n```\n";
    let page = Page::parse("page.md", text).unwrap();
    assert_eq!(page.needs.set_up, SetUp::Dev);
    assert_eq!(page.needs.people, [("grace".to_owned(), "operator".to_owned())]);
    assert_eq!(page.needs.before, ["ssctl tenant list"]);
    let [first, second, third, fourth] = &page.blocks[..] else { panic!("{:?}", page.blocks) };
    assert_eq!(first.commands[0].text, "ssctl a 'b c' \\\n-d");
    assert_eq!(first.commands[0].shown, Some(vec!["one".to_owned()]));
    assert_eq!((first.commands[0].code, first.commands[1].code), (None, Some(0)));
    assert_eq!(page.lines[first.commands[0].place.clone()], ["one"]);
    assert_eq!(second.not_run.as_deref(), Some("it takes a whole day"));
    assert_eq!(third.person.as_deref(), Some("grace"));
    assert_eq!(third.placeholders, [("ID".to_owned(), "ssctl x -o name".to_owned())]);
    assert_eq!(third.commands[0].text, "for a in 1 2; do\n  ssctl $a\ndone");
    assert_eq!(third.commands[1].code, Some(13));
    assert!(fourth.goes_on && !third.goes_on);
}

#[test]
fn a_block_that_nobody_would_run_is_refused() {
    for (text, word) in [
        ("```\nssctl tenant list\n```", "commands are `sh`"),
        ("```text\nssctl tenant list\n```", "a command in a block of data"),
        ("```console\nno command\n```", "begins with"),
        ("<!-- not run: no -->\n```sh\nmake run\n```", "wants a reason"),
        ("```sh\nfor a in b; do\n```", "has no end"),
        ("<!-- set-up: moon -->\n", "is not none"),
        ("```sh\nls\n", "the block has no end"),
    ] {
        let error = Page::parse("page.md", text).unwrap_err();
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}
