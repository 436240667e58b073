//! Every command of the documentation, run as it is written.
//!
//! `UPDATE_DOCS=1` writes what came into the pages instead of comparing; look at the
//! difference before you keep it. `DOCS_PAGE=how-to/quota` takes the pages with this in
//! their name alone.

use std::{collections::BTreeMap, fs, time::Instant};

use streamspace_tests::runtime::story;

use crate::{
    compare::{compare, line_fits, normal},
    files,
    page::{Block, Command, Page, SetUp},
    terminal::{Following, Terminal},
    world::{READER, World, root},
};

/// How many lines of a command that goes on are there before others are run.
const AT_ONCE: usize = 2;

#[test]
fn every_command_is_as_written() {
    let only = std::env::var("DOCS_PAGE").unwrap_or_default();
    let mut faults = Vec::new();
    let mut run = 0;
    for name in files::pages().into_iter().filter(|name| name.contains(&only)) {
        let page = match Page::read(&root(), &name) {
            Ok(page) => page,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        if page.blocks.iter().all(|block| block.not_run.is_some()) {
            continue;
        }
        let begin = Instant::now();
        faults.extend(story(visit(page)));
        eprintln!("{name}: {:.1} s", begin.elapsed().as_secs_f64());
        run += 1;
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n\n"));
    assert!(run > 0, "no page has {only:?} in its name and commands to run");
}

/// Runs a page and returns what is wrong with it.
async fn visit(page: Page) -> Vec<String> {
    if page.needs.set_up == SetUp::None {
        return vec![format!(
            "{}: commands and no `<!-- set-up: … -->`; say what they are run against, or of each \
             block why it is `not run`",
            page.name
        )];
    }
    let world = World::make(&page.needs).await;
    let mut visit =
        Visit { world, page, terminals: BTreeMap::new(), open: Vec::new(), new: Vec::new() };
    let mut faults = visit.take().await;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        visit.write();
    }
    let name = visit.page.name.clone();
    visit.terminals.clear();
    faults.extend(visit.world.end().await.err().map(|fault| format!("{name}: {fault}")));
    faults
}

struct Visit {
    world: World,
    page: Page,
    terminals: BTreeMap<String, Terminal>,
    /// What goes on, with the lines that are to come.
    open: Vec<(Following, Block, Vec<String>)>,
    /// Lines of the page that are written anew.
    new: Vec<(std::ops::Range<usize>, Vec<String>)>,
}

impl Visit {
    async fn take(&mut self) -> Vec<String> {
        for command in self.page.needs.before.clone() {
            if let Err(fault) = self.hidden(READER, &command).await {
                return vec![format!("{}: before: {fault}", self.page.name)];
            }
        }
        let mut faults = Vec::new();
        for block in self.page.blocks.clone() {
            if block.not_run.is_none()
                && let Err(fault) = self.run(&block).await
            {
                faults.push(format!("{}:{}: {fault}", self.page.name, block.start));
            }
        }
        for (following, block, wanted) in std::mem::take(&mut self.open) {
            if let Err(fault) = self.close(following, &block, wanted).await {
                faults.push(format!("{}:{}: {fault}", self.page.name, block.start));
            }
        }
        faults
    }

    fn terminal(&mut self, person: &str) -> &mut Terminal {
        let homes = &self.world.homes;
        self.terminals.entry(person.to_owned()).or_insert_with(|| {
            let home = homes.get(person);
            home.unwrap_or_else(|| panic!("the page's set-up has no person {person}")).terminal()
        })
    }

    /// Runs what the page does not show, and returns what it printed.
    async fn hidden(&mut self, person: &str, command: &str) -> Result<String, String> {
        let command = self.world.hidden(command);
        let (output, code) = self.terminal(person).run(&command).await?;
        if code == 0 { Ok(output) } else { Err(format!("{command} ended with {code}: {output}")) }
    }

    async fn run(&mut self, block: &Block) -> Result<(), String> {
        let person = block.person.clone().unwrap_or_else(|| READER.to_owned());
        for command in &block.before {
            self.hidden(&person, command).await?;
        }
        let mut placeholders = Vec::new();
        for (word, command) in &block.placeholders {
            let output = self.hidden(&person, command).await?;
            if output.trim().is_empty() {
                return Err(format!("{word}: {command} printed nothing"));
            }
            placeholders.push((word.clone(), output.trim().to_owned()));
        }
        let mut faults = Vec::new();
        for command in &block.commands {
            let mut text = self.world.here(&command.text);
            for (word, stands) in &placeholders {
                text = text.replace(word.as_str(), stands);
            }
            let done = if block.goes_on {
                self.open(&person, &text, block, command).await
            } else {
                self.execute(&person, &text, command).await
            };
            faults.extend(done.err());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    async fn execute(&mut self, person: &str, text: &str, command: &Command) -> Result<(), String> {
        // What `make run` starts was started for the page, on ports of its own.
        let (output, code) = match &self.world.start {
            Some(log) if command.text == "make run" => (log.text(), 0),
            _ => self.terminal(person).run(text).await?,
        };
        let came = self.world.shown(&output);
        if command.code.is_some_and(|wanted| wanted != code) {
            return Err(format!("{} ended with {code}: {}", command.text, came.join("\n")));
        }
        let Some(shown) = &command.shown else { return Ok(()) };
        compare(shown, &came).or_else(|difference| {
            self.differs(command.place.clone(), came, format!("{}: {difference}", command.text))
        })
    }

    /// Starts what goes on, and waits until it says something.
    async fn open(
        &mut self,
        person: &str,
        text: &str,
        block: &Block,
        command: &Command,
    ) -> Result<(), String> {
        let mut following = self.world.homes[person].start(text);
        let mut wanted: Vec<String> = command.shown.clone().unwrap_or_default();
        wanted.truncate(wanted.iter().position(|line| line == "^C").unwrap_or(wanted.len()));
        let mut came = Vec::new();
        for _ in 0..AT_ONCE.min(wanted.len()) {
            let Some(line) = following.line().await? else {
                return Err(format!("{text} ended: {}", came.join("\n")));
            };
            came.extend(self.world.shown(&line));
        }
        self.open.push((following, block.clone(), came));
        Ok(())
    }

    /// Waits for the rest of what is shown, and ends it.
    async fn close(
        &mut self,
        mut following: Following,
        block: &Block,
        mut came: Vec<String>,
    ) -> Result<(), String> {
        let [command] = &block.commands[..] else {
            return Err("what goes on has a block of its own".into());
        };
        let shown = command.shown.clone().unwrap_or_default();
        let until = shown.iter().position(|line| line == "^C").unwrap_or(shown.len());
        let mut wanted = shown[..until].iter().filter(|line| *line != "…").peekable();
        let mut read = came.clone().into_iter();
        let mut missing = None;
        while let Some(next) = wanted.peek() {
            let line = if let Some(line) = read.next() {
                line
            } else if let Ok(Some(line)) = following.line().await {
                let line = self.world.shown(&line).concat();
                came.push(line.clone());
                line
            } else {
                missing = Some((*next).clone());
                break;
            };
            if line_fits(&normal(next), &normal(&line)) {
                wanted.next();
            }
        }
        let (rest, code) = following.interrupt().await?;
        let rest: Vec<String> = rest.iter().flat_map(|line| self.world.shown(line)).collect();
        if code != 130 && code != 0 {
            return Err(format!("{} ended with {code}: {rest:?}", command.text));
        }
        let farewell = shown.get(until + 1..).unwrap_or_default();
        let said = farewell.iter().all(|line| {
            line == "…" || rest.iter().any(|came| line_fits(&normal(line), &normal(came)))
        });
        if missing.is_none() && said {
            return Ok(());
        }
        let fault =
            format!("{}: {missing:?} did not come; this did: {came:?}, {rest:?}", command.text);
        came.push("^C".into());
        came.extend(rest);
        self.differs(command.place.clone(), came, fault)
    }

    /// A difference is a fault, or what the page shows from now on.
    fn differs(
        &mut self,
        place: std::ops::Range<usize>,
        came: Vec<String>,
        fault: String,
    ) -> Result<(), String> {
        if std::env::var_os("UPDATE_DOCS").is_none() {
            return Err(fault);
        }
        self.new.push((place, came));
        Ok(())
    }

    fn write(&mut self) {
        if self.new.is_empty() {
            return;
        }
        // From the end on, so that the places before stay.
        self.new.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
        for (place, lines) in std::mem::take(&mut self.new) {
            self.page.lines.splice(place, lines);
        }
        let text = self.page.lines.join("\n") + "\n";
        fs::write(root().join(&self.page.name), text).expect("the page can be written");
        eprintln!("{}: written anew", self.page.name);
    }
}
