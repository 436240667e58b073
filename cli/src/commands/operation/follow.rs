//! Following an operation to its end, through losses of the connection.

use std::{
    env,
    io::{self, Write as _},
    time::Duration,
};

use streamspace_client::{ClientError, Connection, text::escape};
use streamspace_proto::v1::{
    ListOperationItemsRequest, Operation, OperationItem, WaitOperationRequest,
};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::noun::message;
use crate::{
    errors::{Doing as _, Failure, Outcome},
    exit::of_status,
    resource::{Noun as _, call, list, short},
    shell::Shell,
};

/// How long a wait lasts where `--timeout` does not say.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);
/// How long the daemon holds one call of a wait. Below a call's deadline.
const ONE_CALL: Duration = Duration::from_secs(10);
/// How often lines tell of progress where they cannot be drawn over.
const LINES: Duration = Duration::from_secs(2);
/// So many failed items are told; `operation items` shows all.
const TOLD: usize = 20;

/// Waits until an operation is done. One that failed is a failure.
pub(crate) async fn wait(shell: &Shell, connection: &Connection, name: &str) -> Outcome<Operation> {
    let operation = follow(shell, connection, name).await?;
    verdict(shell, connection, &operation).await?;
    Ok(operation)
}

/// Waits until an operation is done, however that ends, and tells its progress.
pub(crate) async fn follow(
    shell: &Shell,
    connection: &Connection,
    name: &str,
) -> Outcome<Operation> {
    let end = Instant::now() + shell.global.timeout.unwrap_or(PATIENCE);
    let mut news = News::new(shell, name);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match wait_once(connection, name, left.min(ONE_CALL), news.at_once()).await {
            Ok(operation) if operation.done => {
                news.tell_end(&operation);
                return Ok(operation);
            }
            Ok(operation) => {
                news.is_of_one = operation.counts.is_none();
                news.tell(&operation.progress);
            }
            Err(error) if error.is_transient() => {
                news.tell(&format!("{error}; still trying"));
                sleep(Duration::from_millis(500).min(left)).await;
            }
            Err(error) => {
                news.finished = true;
                return Err(error).doing(|| format!("wait for {name}"));
            }
        }
        if Instant::now() >= end {
            news.finished = true;
            news.end_line();
            return Err(Failure::Waited {
                message: format!("{name} is not done yet: {}", news.told),
                next: format!(
                    "it goes on; `ssctl operation wait {}` waits again",
                    short(Operation::PREFIX, name)
                ),
            });
        }
    }
}

/// Looks at an operation, and at most so long for its end or for news. The daemon holds the
/// call until the end alone, so whoever wants news asks for a shorter time.
async fn wait_once(
    connection: &Connection,
    name: &str,
    patience: Duration,
    news: Duration,
) -> Result<Operation, ClientError> {
    let request = WaitOperationRequest {
        name: name.to_owned(),
        timeout: prost_types::Duration::try_from(patience.min(news)).ok(),
    };
    call!(connection, operations.wait_operation(request))
}

/// How progress is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Each in a line of its own.
    Each,
    /// One that the next draws over; nothing is drawn yet.
    Empty,
    /// The same, and it is drawn.
    Drawn,
}

/// What is told of an operation that goes on.
struct News<'a> {
    shell: &'a Shell,
    name: &'a str,
    told: String,
    last: Option<Instant>,
    line: Line,
    /// Known after the first look.
    is_of_one: bool,
    finished: bool,
}

impl<'a> News<'a> {
    fn new(shell: &'a Shell, name: &'a str) -> Self {
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let redrawn = shell.terminal.talk.terminal && !dumb && !shell.global.quiet;
        Self {
            shell,
            name,
            told: String::new(),
            last: None,
            line: if redrawn { Line::Empty } else { Line::Each },
            is_of_one: false,
            finished: false,
        }
    }

    /// How long one look may wait before there is something to tell. One of a single tenant
    /// has no count that moves.
    fn at_once(&self) -> Duration {
        if self.is_of_one {
            ONE_CALL
        } else if self.line != Line::Each {
            Duration::from_millis(250)
        } else {
            Duration::from_millis(500)
        }
    }

    /// Tells what is new, once.
    fn tell(&mut self, news: &str) {
        if news.is_empty() || news == self.told {
            return;
        }
        let now = Instant::now();
        if self.line != Line::Each {
            self.draw(news);
        } else if self.last.is_none_or(|last| now.duration_since(last) >= LINES) {
            self.shell.talk(&format!("{}: {news}", self.name));
            self.last = Some(now);
        } else {
            return;
        }
        news.clone_into(&mut self.told);
    }

    fn draw(&mut self, news: &str) {
        self.line = Line::Drawn;
        let mut stderr = io::stderr().lock();
        // With stderr gone there is nobody to tell.
        let _ = write!(stderr, "\r\u{1b}[K{}: {}", escape(self.name), escape(news));
        let _ = stderr.flush();
    }

    fn tell_end(&mut self, operation: &Operation) {
        self.finished = true;
        // Of one that is over several it is always told how it ended.
        if operation.counts.is_some() {
            self.last = None;
            self.tell(&operation.progress);
        }
        self.end_line();
    }

    /// Leaves the line that is drawn over.
    fn end_line(&mut self) {
        if self.line == Line::Drawn {
            self.line = Line::Empty;
            let _ = writeln!(io::stderr().lock());
        }
    }
}

/// Ctrl-C drops whoever waits. The work is the daemon's, and that must be said.
impl Drop for News<'_> {
    fn drop(&mut self) {
        self.end_line();
        if self.finished {
            return;
        }
        let id = short(Operation::PREFIX, self.name);
        let stops = if self.is_of_one {
            String::new()
        } else {
            format!(", `ssctl operation cancel {id}` stops it")
        };
        self.shell.talk(&format!(
            "{} goes on in the daemon: `ssctl operation wait {id}` follows it{stops}",
            self.name
        ));
    }
}

/// Whether all of an operation that is done was done. What failed is told.
pub(crate) async fn verdict(
    shell: &Shell,
    connection: &Connection,
    operation: &Operation,
) -> Outcome {
    if let Some(error) = &operation.error {
        return Err(Failure::Operation {
            name: operation.name.clone(),
            code: Code::from_i32(error.code),
            message: error.message.clone(),
        });
    }
    let Some(counts) = &operation.counts else { return Ok(()) };
    let (done, not) = (counts.changed + counts.unchanged, counts.failed + counts.cancelled);
    if not == 0 {
        return Ok(());
    }
    let failed = failed(connection, &operation.name).await?;
    for item in failed.iter().take(TOLD) {
        shell.talk(&format!("{}: {}", item.target, message(item)));
    }
    let id = short(Operation::PREFIX, &operation.name);
    let all_told = failed.len() <= TOLD;
    if !all_told {
        shell.talk(&format!("and {} more", failed.len().saturating_sub(TOLD)));
    }
    shell.talk(&format!(
        "`ssctl operation items {id} --filter 'state != changed'` shows what was not changed, \
         `ssctl operation resume {id}` tries it again"
    ));
    if done == 0 && counts.cancelled == 0 {
        let error = failed.first().and_then(|item| item.error.as_ref());
        let exit = error.map(|error| of_status(Code::from_i32(error.code), Some(&error.reason)));
        if let Some(exit) = exit {
            return Err(Failure::AllFailed(exit));
        }
    }
    let count = |count: i64| usize::try_from(count).unwrap_or_default();
    Err(Failure::PartlyDone { done: count(done), failed: count(not) })
}

/// The items that failed, the first of them and one more.
async fn failed(connection: &Connection, name: &str) -> Outcome<Vec<OperationItem>> {
    list!(connection, None, operations.list_operation_items,
        ListOperationItemsRequest { name: name.to_owned(), filter: "state = failed".to_owned() }
        => items)
}
