//! `ssctl notify`: what is told to people and systems outside.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use streamspace_client::Connection;
use streamspace_proto::{
    json::to_value,
    v1::{Channel, ListChannelsRequest, ListNoticesRequest, Notice, NoticeState},
};

use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Tone, print_one},
    resource::{Noun, call, full_name, list, short, word},
    shell::Shell,
    time::{age, local},
};

/// So much of a name a table shows: enough to retry it by.
const SHOWN: usize = 13;
/// So many of the newest notices are looked through for the one that is waited for.
const NEWEST: i32 = 100;
/// How often it is looked whether a notice was sent, and how often at most: half a minute.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS: u32 = 60;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List notices, the newest first
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<StateArg>,
        /// At most so many; of each region where several are asked
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// List the channels, and how each of them is
    Channels,
    /// See whether a channel works; it wakes nobody
    ///
    /// A webhook gets a notice with the action `test`. To PagerDuty it is the end of something
    /// that never began, and of the others something is read.
    Test(TestArgs),
    /// Send a notice that was refused once more
    ///
    /// Mend first what it was refused for: `ssctl notify list --state refused` shows it.
    Retry(RetryArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// The channel
    name: String,
    /// Wait until the receiver has it; ends with 11 where it refuses it
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    /// The notice, or a beginning of its name that no other that was refused has
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

/// The states, as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StateArg {
    /// Not sent yet
    Waiting,
    /// The receiver has it
    Sent,
    /// The receiver refused it
    Refused,
    /// Its time was over before
    Expired,
}

impl From<StateArg> for NoticeState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Waiting => Self::Waiting,
            StateArg::Sent => Self::Sent,
            StateArg::Refused => Self::Refused,
            StateArg::Expired => Self::Expired,
        }
    }
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List { state, limit } => {
            let state = state.map_or(NoticeState::Unspecified, Into::into);
            let read = shell.read(async |connection| notices(connection, limit, state).await);
            read.await?.print_all(shell)
        }
        Command::Channels => {
            let read = shell.read(async |connection| channels(connection).await);
            read.await?.print_all(shell)
        }
        Command::Test(args) => test(shell, &args).await,
        Command::Retry(args) => retry(shell, &args).await,
    }
}

async fn notices(
    connection: &Connection,
    limit: Option<usize>,
    state: NoticeState,
) -> Outcome<Vec<Notice>> {
    list!(connection, limit, notify.list_notices, ListNoticesRequest {
        state: state.into()
    } => notices)
}

async fn channels(connection: &Connection) -> Outcome<Vec<Channel>> {
    let reply = call!(connection, notify.list_channels(ListChannelsRequest {}));
    Ok(reply.doing(|| "list channels".to_owned())?.channels)
}

impl Reply for Notice {}

async fn test(shell: &Shell, args: &TestArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<Channel>(&args.name);
    let action = Action {
        method: "NotifyService.TestChannel",
        doing: format!("test {name}"),
        name: name.clone(),
        ..Action::default()
    };
    let send =
        async |given: &Given| send!(&connection, given, notify.test_channel, TestChannelRequest {});
    let before = async || Ok(serde_json::json!({ "name": name }));
    let done = |notice: &Notice| format!("{} goes to {}", notice.name, notice.channel);
    let notice = act(shell, &args.change, action, before, send, done).await?;
    if !args.wait {
        return print_one(shell, &notice);
    }
    let notice = settled(&connection, &notice).await?;
    print_one(shell, &notice)?;
    match notice.state() {
        NoticeState::Sent => Ok(()),
        NoticeState::Waiting => Err(Failure::Waited {
            message: format!("{} still waits: {}", notice.name, tried(&notice)),
            next: "it is tried on; `ssctl notify list` shows what came of it".into(),
        }),
        _ => Err(Failure::CheckFailed {
            message: format!("{} did not take it: {}", notice.channel, notice.problem),
            next: "mend its section in the configuration of the daemon, and test it again".into(),
        }),
    }
}

fn tried(notice: &Notice) -> &str {
    if notice.problem.is_empty() { "nobody has tried to send it" } else { &notice.problem }
}

/// The notice once it is no more waiting, or what it is after half a minute.
async fn settled(connection: &Connection, notice: &Notice) -> Outcome<Notice> {
    let mut last = notice.clone();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(LOOK).await;
        }
        let request = ListNoticesRequest { page_size: NEWEST, ..Default::default() };
        let reply = call!(connection, notify.list_notices(request));
        let found = reply.doing(|| "see what came of it".to_owned())?.notices.into_iter();
        if let Some(found) = { found }.find(|one| one.name == notice.name) {
            last = found;
        }
        if last.state() != NoticeState::Waiting {
            break;
        }
    }
    Ok(last)
}

async fn retry(shell: &Shell, args: &RetryArgs) -> Outcome {
    let connection = shell.connect()?;
    let typed = short(Notice::PREFIX, &args.name);
    let refused = notices(&connection, None, NoticeState::Refused).await?;
    let notice = chosen(typed, refused)?;
    let action = Action {
        method: "NotifyService.RetryNotice",
        doing: format!("retry {}", notice.name),
        name: notice.name.clone(),
        ..Action::default()
    };
    let send =
        async |given: &Given| send!(&connection, given, notify.retry_notice, RetryNoticeRequest {});
    let before = async || Ok(to_value(&notice)?);
    let done = |notice: &Notice| format!("{} goes to {} once more", notice.name, notice.channel);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

/// The one notice whose name begins so. Of a whole name that was not refused the daemon says
/// why it is not sent again.
fn chosen(typed: &str, refused: Vec<Notice>) -> Outcome<Notice> {
    if typed.is_empty() {
        return Err(Failure::Usage {
            message: "no notice was named".into(),
            next: "`ssctl notify list --state refused` shows their names".into(),
        });
    }
    let begins = |notice: &Notice| short(Notice::PREFIX, &notice.name).starts_with(typed);
    let mut found: Vec<_> = refused.into_iter().filter(begins).collect();
    match found.len() {
        0 if uuid::Uuid::try_parse(typed).is_ok() => {
            Ok(Notice { name: full_name::<Notice>(typed), ..Notice::default() })
        }
        0 => Err(Failure::not_found(&full_name::<Notice>(typed))),
        1 => Ok(found.swap_remove(0)),
        many => Err(Failure::Usage {
            message: format!("{typed:?} is the beginning of {many} notices"),
            next: "write more of its name; `ssctl notify list -o wide` shows the whole".into(),
        }),
    }
}

impl Noun for Notice {
    const PLURAL: &'static str = "notices";
    const PREFIX: &'static str = "notices/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |notice: &Self, _| {
                short(Self::PREFIX, &notice.name).chars().take(SHOWN).collect::<String>().into()
            }),
            Column::new("CHANNEL", |notice, _| short(Channel::PREFIX, &notice.channel).into()),
            Column::new("ACTION", |notice, _| notice.action.clone().into()),
            Column::new("STATE", |notice, _| state(notice)),
            Column::new("TRIES", |notice, _| notice.attempts.to_string().into()),
            Column::new("AGE", |notice, now| age(notice.create_time.as_ref(), now).into()),
            Column::new("SUMMARY", |notice, _| notice.summary.clone().into()),
            Column::new("PROBLEM", |notice, _| notice.problem.clone().into()),
            Column::wide("ID", |notice, _| short(Self::PREFIX, &notice.name).into()),
            Column::wide("KEY", |notice, _| notice.dedup_key.clone().into()),
            Column::wide("STEP", |notice, _| notice.step.clone().into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Channel", short(Channel::PREFIX, &self.channel).into()),
            ("Action", self.action.clone().into()),
            ("Key", self.dedup_key.clone().into()),
            ("Step", self.step.clone().into()),
            ("Summary", self.summary.clone().into()),
            ("Severity", self.severity.clone().into()),
            ("State", state(self)),
            ("Tries", self.attempts.to_string().into()),
            ("Problem", self.problem.clone().into()),
            ("Kept", local(self.create_time.as_ref()).into()),
            ("Next try", local(self.next_attempt_time.as_ref()).into()),
            ("Settled", local(self.settle_time.as_ref()).into()),
        ]
    }
}

fn state(notice: &Notice) -> Cell {
    let tone = match notice.state() {
        NoticeState::Sent => Tone::Good,
        NoticeState::Waiting if notice.attempts == 0 => Tone::Plain,
        NoticeState::Waiting => Tone::Doubtful,
        NoticeState::Refused => Tone::Bad,
        NoticeState::Expired | NoticeState::Unspecified => Tone::Plain,
    };
    Cell::toned(word("NOTICE_STATE_", notice.state().as_str_name()), tone)
}

impl Noun for Channel {
    const PLURAL: &'static str = "channels";
    const PREFIX: &'static str = "channels/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |channel: &Self, _| short(Self::PREFIX, &channel.name).into()),
            Column::new("KIND", |channel, _| kind(channel)),
            Column::new("FOR", |channel, _| channel.purposes.join(",").into()),
            Column::new("WAITING", |channel, _| count(channel.waiting_count, Tone::Doubtful)),
            Column::new("REFUSED", |channel, _| count(channel.refused_count, Tone::Bad)),
            Column::new("LAST SENT", |channel, now| {
                age(channel.last_success_time.as_ref(), now).into()
            }),
            Column::new("LAST ERROR", |channel, now| {
                age(channel.last_error_time.as_ref(), now).into()
            }),
            Column::wide("ERROR", |channel, _| channel.last_error.clone().into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Kind", kind(self)),
            ("For", self.purposes.join(", ").into()),
            ("Waiting", count(self.waiting_count, Tone::Doubtful)),
            ("Refused", count(self.refused_count, Tone::Bad)),
            ("Last sent", local(self.last_success_time.as_ref()).into()),
            ("Last error", local(self.last_error_time.as_ref()).into()),
            ("Error", self.last_error.clone().into()),
        ]
    }
}

fn kind(channel: &Channel) -> Cell {
    match channel.kind.as_str() {
        "" => Cell::toned("not configured", Tone::Bad),
        kind => kind.into(),
    }
}

fn count(count: i64, tone: Tone) -> Cell {
    if count == 0 { "0".into() } else { Cell::toned(count.to_string(), tone) }
}
