//! Manual pages for `man`, from what a program's arguments say of themselves and from
//! a few words beside them that no flag can say.
//!
//! A page of a command has the words of `--help`; what is written by hand (files, signals,
//! examples) comes in the few signs that [`prose`] knows.

mod command;
mod prose;
mod roff;

use clap::Command;

use crate::roff::Roff;

/// A page as it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The name of its file, for example `ssctl-tenant.1`.
    pub file: String,
    /// What `man` reads.
    pub text: String,
}

/// What the pages of a program have in common.
#[derive(Clone, Copy, Debug)]
pub struct Manual<'a> {
    /// The section: 1 for everybody's programs, 8 for those of administrators.
    pub section: u8,
    /// What stands at the foot, for example `StreamSpace 1.2.3`.
    pub source: &'a str,
    /// The exit codes of every command, as [`prose`] writes them.
    pub exit_status: &'a str,
    /// What else there is to say of some commands: the name of a page, and sections.
    pub beside: &'a [(&'a str, &'a str)],
}

impl Manual<'_> {
    /// A page for each command that is shown, the program itself first.
    pub fn pages(&self, mut program: Command) -> Vec<Page> {
        program.build();
        let name = program.get_name().to_owned();
        let mut pages = Vec::new();
        self.collect(&program, &name, &[], &[], &mut pages);
        pages
    }

    fn collect(
        &self,
        command: &Command,
        name: &str,
        above: &[String],
        beside: &[String],
        pages: &mut Vec<Page>,
    ) {
        let below: Vec<(&Command, String)> =
            shown(command).map(|child| (child, format!("{name}-{}", child.get_name()))).collect();
        let see: Vec<String> =
            above.iter().chain(beside.iter().filter(|other| *other != name)).cloned().collect();
        let text = command::page(self, command, name, &see);
        pages.push(Page { file: format!("{name}.{}", self.section), text });
        let above: Vec<String> = above.iter().cloned().chain([name.to_owned()]).collect();
        // The program's own page lists all commands; below it those of one noun belong together.
        let siblings: Vec<String> = if above.len() > 1 {
            below.iter().map(|(_, name)| name.clone()).collect()
        } else {
            Vec::new()
        };
        for (child, name) in &below {
            self.collect(child, name, &above, &siblings, pages);
        }
    }

    fn beside(&self, name: &str) -> &str {
        self.beside.iter().find(|(page, _)| *page == name).map_or("", |(_, words)| words)
    }
}

/// The commands below that `--help` lists, without the one that only repeats `--help`.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
}

/// A page that is prose as a whole, for example of a file.
pub fn prose_page(name: &str, section: u8, source: &str, words: &str) -> Page {
    let mut roff = Roff::new(name, section, source);
    prose::write(&mut roff, words);
    Page { file: format!("{name}.{section}"), text: roff.finish() }
}

#[cfg(test)]
mod tests;
