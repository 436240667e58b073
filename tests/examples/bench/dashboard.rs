//! How quick the dashboard is over a large region, and how little it takes: `ssctl ui` as it
//! is shipped, on a terminal of its own, against a real daemon.

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use prost_types::FieldMask;
use streamspace_proto::v1::{
    ResourceKind, Selection, WatchRequest, watch_response::Event,
    watch_service_client::WatchServiceClient,
};
use streamspace_tests::{
    authority::Wish,
    crowd::{self, Crowd},
    daemon::program,
    database::Server,
    pty::Drawing,
    region::{Region, own_cluster},
};
use streamspace_tui::SESSION_FIELDS;

use crate::{
    as_shipped,
    process::{memory, processor_time},
    table::{Line, Table, middle, milliseconds, permille, times, verdict},
};

const TENANTS: usize = 10_000;
const SESSIONS: usize = 50_000;
const COLUMNS: u16 = 120;
const ROWS: u16 = 40;

const STARTS: usize = 9;
/// The least number of presses of a kind.
const PRESSES: usize = 100;
/// As fast as a key that is held down repeats.
const PAUSE: Duration = Duration::from_millis(33);
/// What is typed as a filter, and erased again.
const WORDS: [&str; 8] =
    ["user-99", "crowd-0", "running", "node-12", "firefox", "hibern", "desk-3", "zzzzzz"];
const IDLE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_mins(1);

const FIRST_TEXT: Duration = Duration::from_millis(100);
const KEY: Duration = Duration::from_millis(50);
/// In MiB.
const MEMORY: u64 = 60;
/// The part of a processor that is taken where nothing happens.
const IDLE_SHARE: f64 = 0.01;
const BYTES: usize = 1024;

const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const ERASE: &str = "\u{7f}";

/// All of it.
pub(crate) async fn measure(table: &mut Table) {
    let region = Region::on(Server::start().await, own_cluster().await).await;
    crowd::leave_alone(&region);
    as_shipped(&region).await;
    crowd::is_listed(&region).await;
    let like = ["tenant", "create", "like", "--plan", "free", "--seats", "1", "--wait"];
    region.admin().ok(&like).await;
    let _crowd = Crowd::gather(region.pool(), "like", TENANTS, SESSIONS).await;

    starts(&region, table).await;
    let mut screen = Screen(dashboard(&region));
    screen.shows("● live");
    screen.0.press("S");
    screen.shows("1/50,000");
    let mut echo = Echo::start();
    for (what, keys) in [
        ("the selection moves", Screen::moves as fn(&mut Screen) -> Vec<Duration>),
        ("a letter of a filter, typed or erased", Screen::filters),
        ("another order", Screen::sorts),
        ("a session is opened, or left", Screen::opens),
    ] {
        // In turns, so that both meet the same machine.
        let (ours, bare) = (keys(&mut screen), echo.presses());
        table.add(key_to_screen(what, ours, bare));
    }
    let drawn = screen.bytes_of_a_move();
    table.add(Line {
        what: "Sent to the terminal where the selection moves by a row".into(),
        ours: format!("{drawn} B"),
        against: "a byte for each cell of two rows".into(),
        bare: format!("{} B", 2 * usize::from(COLUMNS)),
        ratio: format!("{:.1}", bytes(drawn) / (2.0 * f64::from(COLUMNS))),
        remark: verdict(drawn < BYTES, "< 1 KiB"),
    });
    rest(&screen, table);
    table.add(leave(screen));
}

fn dashboard(region: &Region) -> Drawing {
    Drawing::start(region.admin(), &["ui"], COLUMNS, ROWS)
}

/// From the start of the program to its first text and to the last row.
async fn starts(region: &Region, table: &mut Table) {
    let [mut firsts, mut lives, mut versions, mut snapshots] = [const { Vec::new() }; 4];
    for _ in 0..STARTS {
        let begin = Instant::now();
        let screen = Screen(dashboard(region));
        screen.until("something is drawn", |text| !text.trim().is_empty());
        firsts.push(begin.elapsed());
        screen.shows("● live");
        lives.push(begin.elapsed());
        drop(screen);
        let begin = Instant::now();
        let version = Command::new(program("ssctl")).arg("version").output();
        assert!(version.expect("it starts").status.success());
        versions.push(begin.elapsed());
        snapshots.push(snapshot(region).await);
    }
    let (first, version) = (middle(firsts), middle(versions));
    table.add(Line {
        what: format!("`ssctl ui`, until its first text (p50 of {STARTS})"),
        ours: milliseconds(first),
        against: "`ssctl version`, start to end".into(),
        bare: milliseconds(version),
        ratio: times(first, version),
        remark: verdict(first < FIRST_TEXT, "< 100 ms"),
    });
    let (live, bare) = (middle(lives), middle(snapshots));
    table.add(Line {
        what: format!("The same, until all rows are live (p50 of {STARTS})"),
        ours: milliseconds(live),
        against: "a bare client that reads the same snapshot and keeps nothing".into(),
        bare: milliseconds(bare),
        ratio: times(live, bare),
        remark: String::new(),
    });
}

/// How long a bare client takes, from the connection on, to read what the dashboard watches.
async fn snapshot(region: &Region) -> Duration {
    let identity = region.authority().issue(&Wish::client("admin"));
    let begin = Instant::now();
    let mut client = WatchServiceClient::new(region.channel(Some(&identity)).await);
    let all = |kind: ResourceKind| Selection { kind: kind.into(), ..Selection::default() };
    let fields = FieldMask { paths: SESSION_FIELDS.map(str::to_owned).into() };
    let sessions = Selection { read_mask: Some(fields), ..all(ResourceKind::Session) };
    let selections = vec![all(ResourceKind::Tenant), all(ResourceKind::Operation), sessions];
    let request = WatchRequest { selections, ..WatchRequest::default() };
    let mut stream = client.watch(request).await.expect("a watch").into_inner();
    let mut items = 0;
    loop {
        let message = stream.message().await.expect("the stream goes on").expect("more comes");
        match message.event {
            Some(Event::Item(_)) => items += 1,
            Some(Event::Synced(_)) => break,
            _ => {}
        }
    }
    assert!(items > TENANTS + SESSIONS, "the crowd and the one that it is like: {items}");
    begin.elapsed()
}

fn key_to_screen(what: &str, mut ours: Vec<Duration>, mut bare: Vec<Duration>) -> Line {
    let both = |times: &mut [Duration]| (permille(times, 500), permille(times, 990));
    let ((ours_50, ours_99), (bare_50, bare_99)) = (both(&mut ours), both(&mut bare));
    let number = |p50, p99| format!("{}, p99 {}", milliseconds(p50), milliseconds(p99));
    Line {
        what: format!("From key to screen: {what} (p50 of {})", ours.len()),
        ours: number(ours_50, ours_99),
        against: "the echo of a bare program".into(),
        bare: number(bare_50, bare_99),
        ratio: times(ours_50, bare_50),
        remark: verdict(ours_99 < KEY, "p99 < 50 ms"),
    }
}

/// The dashboard, which shows all sessions.
struct Screen(Drawing);

impl Screen {
    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        self.0.blocks_until(PATIENCE, what, is_so);
    }

    fn shows(&self, words: &str) {
        self.until(words, |text| text.contains(words));
    }

    /// Presses a key, and returns how long it took until the screen showed what it does.
    fn press(&mut self, keys: &str, is_so: impl Fn(&str) -> bool) -> Duration {
        sleep(PAUSE);
        let begin = Instant::now();
        self.0.press(keys);
        self.until(&format!("{keys:?} has its effect"), is_so);
        begin.elapsed()
    }

    fn moves(&mut self) -> Vec<Duration> {
        let places = 2..PRESSES + 2;
        let moves = places.map(|place| {
            let position = format!(" {place}/50,000");
            self.press("j", |text| text.contains(&position))
        });
        moves.collect()
    }

    fn filters(&mut self) -> Vec<Duration> {
        let mut taken = Vec::new();
        self.press("/", |text| text.contains("enter take"));
        for word in WORDS.iter().cycle() {
            let typed = |count: usize| format!(" with \"{}\"", word.get(..count).unwrap_or(word));
            for (end, letter) in word.char_indices() {
                let shown = typed(end + 1);
                taken.push(self.press(&letter.to_string(), |text| text.contains(&shown)));
            }
            for rest in (1..word.len()).rev() {
                let shown = typed(rest);
                taken.push(self.press(ERASE, |text| text.contains(&shown)));
            }
            taken.push(self.press(ERASE, |text| !text.contains(" with \"")));
            if taken.len() >= PRESSES {
                break;
            }
        }
        self.press(ESCAPE, |text| !text.contains("enter take"));
        taken
    }

    fn sorts(&mut self) -> Vec<Duration> {
        let sorts = (0..PRESSES).map(|_| {
            let before = order(&self.0.text());
            self.press("o", |text| order(text) != before)
        });
        sorts.collect()
    }

    fn opens(&mut self) -> Vec<Duration> {
        let pairs = (0..PRESSES / 2).flat_map(|_| {
            let opened = self.press(ENTER, |text| text.contains(" › crowd-"));
            [opened, self.press(ESCAPE, |text| text.contains("/50,000"))]
        });
        pairs.collect()
    }

    /// The least of several, for the clock may strike meanwhile.
    fn bytes_of_a_move(&mut self) -> usize {
        self.press("g", |text| text.contains(" 1/50,000"));
        let moves = (2..12).map(|place| {
            let (before, position) = (self.0.written(), format!(" {place}/50,000"));
            self.press("j", |text| text.contains(&position));
            // The rest of the frame.
            sleep(PAUSE);
            self.0.written() - before
        });
        moves.min().expect("there were some")
    }
}

/// What the table says of its order: the end of the line of counts.
fn order(text: &str) -> String {
    let line = text.lines().find(|line| line.contains("/50,000")).unwrap_or_default();
    line.rsplit_once("/50,000").map(|(_, order)| order.trim().to_owned()).unwrap_or_default()
}

/// What it takes while nothing happens, and the memory that it holds.
fn rest(screen: &Screen, table: &mut Table) {
    let process = screen.0.id();
    let (begin, used, written) = (Instant::now(), processor_time(process), screen.0.written());
    sleep(IDLE);
    let elapsed = begin.elapsed().as_secs_f64();
    let share = processor_time(process).saturating_sub(used).as_secs_f64() / elapsed;
    let drawn = bytes(screen.0.written() - written) / elapsed;
    table.add(Line {
        what: format!("At rest for {} s, {SESSIONS} sessions shown", IDLE.as_secs()),
        ours: format!("{:.2} % of a processor", share * 100.0),
        against: String::new(),
        bare: String::new(),
        ratio: String::new(),
        remark: verdict(share < IDLE_SHARE, "< 1 %"),
    });
    table.add(Line {
        what: "Sent to the terminal in a second at rest, in which the clock moves".into(),
        ours: format!("{drawn:.0} B"),
        against: String::new(),
        bare: String::new(),
        ratio: String::new(),
        remark: verdict(drawn < bytes(BYTES), "< 1 KiB"),
    });
    let (resident, most) = memory(process);
    let (bare, _) = memory(Echo::start().0.id());
    table.add(Line {
        what: format!("Resident memory, {TENANTS} tenants and {SESSIONS} sessions"),
        ours: format!("{resident} MiB, at most {most} MiB"),
        against: "a shell".into(),
        bare: format!("{bare} MiB"),
        ratio: String::new(),
        remark: verdict(resident < MEMORY, "< 60 MiB"),
    });
}

/// From the key that leaves it to the program's end.
fn leave(mut screen: Screen) -> Line {
    let begin = Instant::now();
    screen.0.press("q");
    while screen.0.ended().is_none() {
        sleep(Duration::from_micros(200));
    }
    let took = begin.elapsed();
    Line {
        what: "`q`, until the program has ended".into(),
        ours: milliseconds(took),
        against: String::new(),
        bare: String::new(),
        ratio: String::new(),
        remark: verdict(took < KEY, "< 50 ms"),
    }
}

/// A program that writes each key as it comes, on the same kind of terminal: the bare way
/// from a key to the screen.
struct Echo(Drawing);

impl Echo {
    fn start() -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "stty raw -echo; echo ready; exec cat"]);
        let echo = Self(Drawing::run(command, COLUMNS, ROWS));
        echo.0.blocks_until(PATIENCE, "it is ready", |text| text.contains("ready"));
        echo
    }

    fn presses(&mut self) -> Vec<Duration> {
        let letters = ('a'..='z').cycle().take(PRESSES);
        let presses = letters.map(|letter| {
            sleep(PAUSE);
            let before = self.0.text();
            let begin = Instant::now();
            self.0.press(&letter.to_string());
            self.0.blocks_until(PATIENCE, "a key comes back", |text| text != before);
            begin.elapsed()
        });
        presses.collect()
    }
}

fn bytes(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("not that many"))
}
