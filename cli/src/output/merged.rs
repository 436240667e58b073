//! What one region answered, or what several did, with what could not be read.
//!
//! Where several contexts were named, tables begin with the column REGION and end
//! with a line for each region that is not read; CSV has the reason in the column
//! ERROR; JSON and YAML are an object with `items` and `unread`, and each item has
//! one field more, `context`.

use serde_json::{Value, json};
use streamspace_client::text::escape;
use streamspace_proto::json::to_value;

use super::{
    Cell, Format, Layout, Listing, csv, details, filled, lines, name_line, no_name, print_value,
    print_values, table::Grid,
};
use crate::{
    errors::Outcome,
    read::{Read, Unread},
    resource::Noun,
    shell::Shell,
};

/// The field that says which context an item is from.
const CONTEXT: &str = "context";

/// The title of the column that says it.
const REGION: &str = "REGION";

/// Rows by the context that they are from.
#[derive(Debug)]
pub(super) struct Rows<'a, T> {
    pub(super) several: bool,
    pub(super) groups: Vec<(&'a str, &'a [T])>,
    pub(super) unread: &'a [Unread],
}

impl<T> Rows<'_, T> {
    pub(super) fn print(&self, shell: &Shell, listing: &Listing<T>) -> Outcome {
        match shell.format() {
            Format::Name => shell.print(
                &self.all().map(|(_, row)| name_line(&(listing.name)(row))).collect::<String>(),
            ),
            Format::Csv => shell.print(&self.csv(shell, listing)),
            format @ (Format::Table | Format::Wide) => {
                self.table(shell, listing, format == Format::Wide)
            }
            _ => print_items(shell, self.several, &self.values(listing)?, self.unread),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&str, &T)> {
        self.groups.iter().flat_map(|(context, rows)| rows.iter().map(move |row| (*context, row)))
    }

    fn values(&self, listing: &Listing<T>) -> Outcome<Vec<Value>> {
        self.all()
            .map(|(context, row)| {
                let value = (listing.value)(row)?;
                Ok(if self.several { of_context(context, value) } else { value })
            })
            .collect()
    }

    fn csv(&self, shell: &Shell, listing: &Listing<T>) -> String {
        let columns = &listing.columns;
        if !self.several {
            let rows = self.all().map(|(_, row)| csv::csv_line(columns, row, shell.now));
            return csv::csv_titles(columns) + &rows.collect::<String>();
        }
        let titles = columns.iter().map(|column| column.title);
        let mut text = csv::texts([REGION].into_iter().chain(titles).chain(["ERROR"]));
        for (context, row) in self.all() {
            let cells: Vec<_> =
                columns.iter().map(|column| (column.cell)(row, shell.now).text).collect();
            let cells = cells.iter().map(String::as_str);
            text += &csv::texts([context].into_iter().chain(cells).chain([""]));
        }
        for unread in self.unread {
            let why = unread.why();
            let empty = columns.iter().map(|_| "");
            text += &csv::texts([unread.context.as_str()].into_iter().chain(empty).chain([&*why]));
        }
        text
    }

    fn table(&self, shell: &Shell, listing: &Listing<T>, wide: bool) -> Outcome {
        let columns = &listing.columns;
        let grid = Grid::new(columns, wide);
        let mut grid = if self.several { grid.led_by(REGION) } else { grid };
        let contexts = self.groups.iter().map(|(context, _)| *context);
        let contexts = contexts.chain(self.unread.iter().map(|unread| &*unread.context));
        let width = contexts.map(|context| context.chars().count()).max().unwrap_or(0);
        let mut count = 0;
        for (context, row) in self.all() {
            // As wide as the lines below, of regions that are not read.
            let lead = self.several.then(|| format!("{context:<width$}").into());
            grid.push(lead, columns, wide, row, shell.now);
            count += 1;
        }
        if count == 0 {
            if self.unread.is_empty() {
                shell.talk(&format!("no {}", listing.plural));
                return Ok(());
            }
            if !self.groups.is_empty() {
                shell.talk(&format!("no {} in the regions that are read", listing.plural));
            }
        }
        let drawn = grid.draw(Layout::new(shell.terminal, wide));
        if !drawn.left_out.is_empty() {
            shell.talk(&format!(
                "too narrow for: {}; -o wide shows all columns",
                drawn.left_out.join(", ")
            ));
        }
        let dead =
            self.unread.iter().map(|unread| unread_line(shell, unread, drawn.lead.max(width + 2)));
        shell.print(&(drawn.text.clone() + &dead.collect::<String>()))
    }
}

/// The row of a region that is not read: its name under REGION, then why.
fn unread_line(shell: &Shell, unread: &Unread, lead: usize) -> String {
    let context = escape(&unread.context).into_owned();
    let why = unread.why();
    let text = format!("{context:<lead$}not read: {}", escape(&why));
    if shell.terminal.output.colour { format!("\u{1b}[31m{text}\u{1b}[0m\n") } else { text + "\n" }
}

/// The value with the context that it is from.
fn of_context(context: &str, mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert(CONTEXT.into(), context.into());
        return value;
    }
    json!({ CONTEXT: context, "value": value })
}

/// Values of a list: of one context as they are, of several with what is missing.
fn print_items(shell: &Shell, several: bool, items: &[Value], unread: &[Unread]) -> Outcome {
    if !several {
        return print_values(shell, items);
    }
    let values = || unread.iter().map(Unread::value).collect::<Vec<_>>();
    match shell.format() {
        Format::Jsonl => {
            let unread: Vec<_> = unread
                .iter()
                .map(|unread| json!({ CONTEXT: unread.context, "unread": unread.value() }))
                .collect();
            shell.print(&(lines(items) + &lines(&unread)))
        }
        Format::JsonPath => {
            shell.print(&filled(shell, &json!({ "items": items, "unread": values() })))
        }
        _ => print_value(shell, &json!({ "items": items, "unread": values() })),
    }
}

impl<T> Read<Vec<T>> {
    /// Prints rows, and ends the command.
    pub(crate) fn print_rows(&self, shell: &Shell, listing: &Listing<T>) -> Outcome {
        let groups = self.answers.iter().map(|(context, rows)| (&**context, &**rows)).collect();
        let rows = Rows { several: self.several, groups, unread: &self.unread };
        rows.print(shell, listing)?;
        self.end(shell)
    }
}

impl<N: Noun> Read<Vec<N>> {
    /// Prints all of a noun, and ends the command.
    pub(crate) fn print_all(&self, shell: &Shell) -> Outcome {
        self.print_rows(shell, &Listing::of_noun())
    }
}

impl<N: Noun> Read<N> {
    /// Prints one of a noun from each context, and ends the command.
    pub(crate) fn print_one(&self, shell: &Shell) -> Outcome {
        match shell.format() {
            Format::Csv | Format::Name => {
                let groups = self.answers.iter();
                let groups = groups.map(|(context, one)| (&**context, std::slice::from_ref(one)));
                let (groups, unread) = (groups.collect(), &*self.unread);
                let rows = Rows { several: self.several, groups, unread };
                rows.print(shell, &Listing::of_noun())?;
                self.end(shell)
            }
            _ => self.print_answer(shell, |one| one.details(shell.now), |one| Ok(to_value(one)?)),
        }
    }
}

impl<T> Read<T> {
    /// Prints an answer that is no resource from each context, and ends the
    /// command: details for people, else its value.
    pub(crate) fn print_answer<'a>(
        &'a self,
        shell: &Shell,
        pairs: impl Fn(&'a T) -> Vec<(&'static str, Cell)>,
        value: impl Fn(&'a T) -> Outcome<Value>,
    ) -> Outcome {
        match (shell.format(), self.answers.first()) {
            (Format::Name, _) => return Err(no_name()),
            (Format::Csv, Some((_, first))) if !self.several => {
                shell.print(&csv::pairs(&pairs(first)))?;
            }
            (Format::Csv, first) => {
                let titles = first.map(|(_, first)| pairs(first)).unwrap_or_default();
                let titles: Vec<_> = titles.iter().map(|(title, _)| *title).collect();
                let all = ["Context"].into_iter().chain(titles.iter().copied());
                let mut text = csv::texts(all.chain(["Error"]));
                for (context, answer) in &self.answers {
                    let pairs = pairs(answer);
                    let cells = pairs.iter().map(|(_, cell)| cell.text.as_str());
                    text += &csv::texts([&**context].into_iter().chain(cells).chain([""]));
                }
                for unread in &self.unread {
                    let why = unread.why();
                    let empty = titles.iter().map(|_| "");
                    text += &csv::texts([&*unread.context].into_iter().chain(empty).chain([&*why]));
                }
                shell.print(&text)?;
            }
            (Format::Table | Format::Wide, _) => shell.print(&self.pages(shell, pairs))?,
            (_, Some((_, first))) if !self.several => print_value(shell, &value(first)?)?,
            _ => {
                let items = self.answers.iter();
                let items = items.map(|(context, one)| Ok(of_context(context, value(one)?)));
                let items = items.collect::<Outcome<Vec<_>>>()?;
                print_items(shell, true, &items, &self.unread)?;
            }
        }
        self.end(shell)
    }

    /// Prints a text of each context, with its name above where several were asked, and ends
    /// the command.
    pub(crate) fn print_texts(&self, shell: &Shell, text: impl Fn(&T) -> String) -> Outcome {
        let layout = Layout::new(shell.terminal, shell.format() == Format::Wide);
        let told = self.answers.iter().map(|(context, answer)| {
            let head = if self.several {
                details(&[("Context", context.clone().into())], layout)
            } else {
                String::new()
            };
            head + &text(answer)
        });
        let unread = self.unread.iter().map(|unread| unread_page(unread, layout));
        shell.print(&told.chain(unread).collect::<Vec<_>>().join("\n"))?;
        self.end(shell)
    }

    /// A page for each context, with its name above where several were asked.
    fn pages<'a>(
        &'a self,
        shell: &Shell,
        pairs: impl Fn(&'a T) -> Vec<(&'static str, Cell)>,
    ) -> String {
        let layout = Layout::new(shell.terminal, shell.format() == Format::Wide);
        let mut pages = Vec::new();
        for (context, answer) in &self.answers {
            let mut page = pairs(answer);
            if self.several {
                page.insert(0, ("Context", context.clone().into()));
            }
            pages.push(details(&page, layout));
        }
        pages.extend(self.unread.iter().map(|unread| unread_page(unread, layout)));
        pages.join("\n")
    }
}

fn unread_page(unread: &Unread, layout: Layout) -> String {
    let why = Cell::toned(unread.why(), super::Tone::Bad);
    details(&[("Context", unread.context.clone().into()), ("Not read", why)], layout)
}

#[cfg(test)]
mod tests {
    use streamspace_proto::policy::pool;

    use super::*;

    #[test]
    fn no_message_has_the_field_that_says_where_it_is_from() {
        let messages = pool().unwrap().all_messages();
        let taken: Vec<_> = messages
            .filter(|message| message.full_name().starts_with("streamspace."))
            .filter(|message| message.get_field_by_json_name(CONTEXT).is_some())
            .map(|message| message.full_name().to_owned())
            .collect();
        assert_eq!(taken, Vec::<String>::new());
    }

    #[test]
    fn an_item_says_where_it_is_from() {
        assert_eq!(of_context("a", json!({"x": 1})), json!({"context": "a", "x": 1}));
        assert_eq!(of_context("a", json!(1)), json!({"context": "a", "value": 1}));
    }
}
