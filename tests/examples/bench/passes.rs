//! What thousands of tenants and their sessions cost that nobody changes.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;
use streamspace_tests::{
    database::Server,
    region::{Region, own_cluster},
    wait::within,
};

use crate::{
    as_shipped,
    audit_log::{AuditLog, Write},
    process::{memory, processor_time},
    sessions,
    table::{Line, Table, seconds, verdict},
    tenants::wish,
};

/// How many tenants there are, unless this says otherwise.
const VARIABLE: &str = "STREAMSPACE_BENCH_TENANTS";
const TENANTS: usize = 10_000;
const CALLS: usize = 16;
const BEGINNING: &str = "kept-";
/// How often all are looked at in the second part.
const PERIOD: Duration = Duration::from_secs(5);
const PASSES: usize = 5;
/// How long the daemon is watched while it has nothing to do.
const IDLE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_mins(40);

const TIME_TARGET: Duration = Duration::from_secs(2);
/// In MiB.
const MEMORY_TARGET: u64 = 300;

const FIRST: &str = "looked at every tenant";
const LISTED: &str = "sessions and homes are listed";
const AGAIN: &str = "looked at every tenant again";

/// A region with that many tenants, started anew on them.
pub(crate) async fn measure(table: &mut Table) {
    let count = std::env::var(VARIABLE).map_or(TENANTS, |text| text.parse().expect("a number"));
    let region = Region::on(Server::start().await, own_cluster().await).await;
    sessions::settings(&region);
    as_shipped(&region).await;
    prepare(&region, count).await;
    let sessions = sessions::prepare(&region, BEGINNING, count).await;
    let log = AuditLog::of(region.cluster());

    // A start, and then rest.
    region.set("tenants", "resync_seconds", 86_400);
    region.stop().await;
    let mark = log.mark();
    let cold = start(&region).await;
    settle().await;
    let idle = Rest::of(cold.process).await;
    let (resident, most) = memory(cold.process);
    let writes = log.since(mark);
    let written = ours(&region, &writes);
    eprintln!("written at a cold start: {written:?}");
    // The new term is written to the daemon's own namespace.
    let own = format!("{}-system", region.instance());
    let to_tenants = written.iter().filter(|it| it.namespace != own).count();
    table.add(Line {
        what: format!("A start on {count} tenants and {sessions} sessions, until each is known"),
        ours: seconds(cold.took),
        against: format!("{} objects listed", cold.objects),
        bare: format!("{} of the first pass", cold.pass),
        ratio: format!("{to_tenants} writes to tenants"),
        remark: format!(
            "{} of the daemon's processor time; at most {most} MiB; {} tenants were not as wished",
            seconds(cold.processor),
            cold.open
        ),
    });

    // The same with passes that are often enough to be counted.
    region.set("tenants", "resync_seconds", i64::try_from(PERIOD.as_secs()).unwrap());
    region.stop().await;
    let warm = start(&region).await;
    settle().await;
    let reader = LogReader::at_the_end(&region);
    let (mark, begin, before) = (log.mark(), Instant::now(), processor_time(warm.process));
    let passes = within(PATIENCE, "the passes are over", async || {
        let passes = reader.entries(AGAIN);
        if passes.len() < PASSES { Err(format!("{} are", passes.len())) } else { Ok(passes) }
    })
    .await;
    let (elapsed, used) = (begin.elapsed(), processor_time(warm.process).saturating_sub(before));
    let rest = elapsed.mul_f64(idle.share());
    let number = u32::try_from(passes.len()).unwrap();
    let each = used.saturating_sub(rest) / number;
    let writes = log.since(mark);
    let written = ours(&region, &writes);
    let after = memory(warm.process);
    let took: Vec<&str> = passes.iter().filter_map(|it| it.get("took")?.as_str()).collect();
    eprintln!("passes took {took:?}; written meanwhile: {written:?}; memory {after:?} MiB");
    let met = each < TIME_TARGET && resident < MEMORY_TARGET && written.is_empty();
    table.add(Line {
        what: format!(
            "A pass over {count} unchanged tenants, {} objects, with {sessions} sessions",
            cold.objects
        ),
        ours: format!("{} of processor time", seconds(each)),
        against: format!("rest uses {:.1} % of a processor; one pass takes", idle.share() * 100.0),
        bare: (*took.first().unwrap_or(&"?")).to_owned(),
        ratio: format!("{} writes", written.len()),
        remark: format!("{}; {resident} MiB resident", verdict(met, "no write, < 2 s, < 300 MiB")),
    });
}

/// Has the daemon make that many tenants.
async fn prepare(region: &Region, count: usize) {
    let begin = Instant::now();
    let pool = region.pool();
    let made = wish(region, BEGINNING, count, CALLS);
    let told = async {
        loop {
            tokio::time::sleep(Duration::from_secs(15)).await;
            let query = "SELECT count(*), count(*) FILTER (WHERE state = 'active') FROM tenants";
            let (wished, active): (i64, i64) =
                sqlx::query_as(query).fetch_one(&pool).await.unwrap();
            eprintln!("{wished} wished, {active} active after {}", seconds(begin.elapsed()));
            if usize::try_from(active) == Ok(count) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "not all are active");
        }
    };
    tokio::join!(made, told);
}

/// A daemon that was started, has looked at all tenants and knows all sessions.
struct Started {
    process: u32,
    /// Until that was so.
    took: Duration,
    processor: Duration,
    objects: u64,
    open: u64,
    /// How long the look itself took, in the daemon's words.
    pass: String,
}

async fn start(region: &Region) -> Started {
    let reader = LogReader::at_the_end(region);
    let begin = Instant::now();
    region.launch().await;
    let process = region.process_id().await;
    let pass = within(PATIENCE, "every tenant was looked at", async || {
        reader.entries(FIRST).into_iter().next().ok_or("not yet")
    })
    .await;
    within(PATIENCE, "all sessions are listed", async || {
        reader.entries(LISTED).into_iter().next().ok_or("not yet")
    })
    .await;
    let number = |key: &str| pass.get(key).and_then(Value::as_u64).unwrap_or_default();
    Started {
        process,
        took: begin.elapsed(),
        processor: processor_time(process),
        objects: number("objects"),
        open: number("open"),
        pass: pass.get("took").and_then(Value::as_str).unwrap_or("?").to_owned(),
    }
}

/// What follows a start, such as the looks of other loops, is over.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(8)).await;
}

/// What the daemon uses while it has nothing to do.
struct Rest {
    used: Duration,
    elapsed: Duration,
}

impl Rest {
    async fn of(process: u32) -> Self {
        let (begin, before) = (Instant::now(), processor_time(process));
        tokio::time::sleep(IDLE).await;
        let used = processor_time(process).saturating_sub(before);
        Self { used, elapsed: begin.elapsed() }
    }

    /// The part of one processor.
    fn share(&self) -> f64 {
        self.used.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// The writes that the daemon made, under its own identity or the acting one.
fn ours<'a>(region: &Region, writes: &'a [Write]) -> Vec<&'a Write> {
    let acting = format!("{}:daemon", region.instance());
    let own = format!("system:serviceaccount:{}-system:streamspaced", region.instance());
    let by_us = |write: &&Write| (write.user == acting || write.user == own) && !write.dry_run;
    writes.iter().filter(by_us).collect()
}

/// The daemon's log from a place on.
struct LogReader {
    path: PathBuf,
    from: u64,
}

impl LogReader {
    fn at_the_end(region: &Region) -> Self {
        let path = region.config().with_file_name("streamspaced.log");
        let from = std::fs::metadata(&path).unwrap().len();
        Self { path, from }
    }

    /// The lines with this message.
    fn entries(&self, message: &str) -> Vec<Value> {
        let mut file = std::fs::File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.from)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.filter(|it| it.get("message").and_then(Value::as_str) == Some(message)).collect()
    }
}
