//! Looks at each part again and again and notes how it is.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::health::{Health, HealthBoard, Part};
use crate::{
    db::{Database, Leadership},
    kube::Cluster,
    platform::Standing,
};

const PERIOD: Duration = Duration::from_secs(1);
/// While something is wrong, the way back is looked for more often.
const PERIOD_WHILE_UNWELL: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(3);

/// How a part is that tells by itself, and in what words.
pub type Told = (Health, String);

/// Probes until it is stopped; `sessions` tells how these are taken up. Each part has a loop of its own, so that one that
/// hangs does not hide how the others are.
pub async fn run(
    board: HealthBoard,
    db: Database,
    cluster: Cluster,
    leadership: tokio::sync::watch::Receiver<Leadership>,
    standing: tokio::sync::watch::Receiver<Standing>,
    sessions: impl Fn() -> Told + Send,
    stop: CancellationToken,
) {
    let database = async {
        loop {
            database(&board, &db).await;
            leader(&board, &leadership);
            let (health, message) = sessions();
            board.report(Part::Sessions, health, message);
            pause(&board).await;
        }
    };
    let cluster = async {
        loop {
            self::cluster(&board, &cluster, &standing).await;
            pause(&board).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = async { tokio::join!(database, cluster); } => {}
    }
}

async fn pause(board: &HealthBoard) {
    let period = if board.worst() == Health::Ok { PERIOD } else { PERIOD_WHILE_UNWELL };
    tokio::time::sleep(period).await;
}

async fn database(board: &HealthBoard, db: &Database) {
    let probe = sqlx::query_scalar::<_, String>("SELECT current_setting('server_version')")
        .fetch_one(db.operator());
    match tokio::time::timeout(LIMIT, probe).await {
        Ok(Ok(version)) => {
            board.database_answered();
            board.report(Part::Database, Health::Ok, format!("PostgreSQL {version}"));
            change_log(board, db).await;
        }
        Ok(Err(error)) => database_away(board, &error.to_string()),
        Err(_) => database_away(board, &format!("no answer within {} s", LIMIT.as_secs())),
    }
    audit(board, db).await;
}

fn database_away(board: &HealthBoard, words: &str) {
    board.report(Part::Database, Health::Unavailable, words);
    board.report(Part::ChangeLog, Health::Unavailable, "needs the database");
}

/// A change that waits longer than five seconds for its revision is late.
async fn change_log(board: &HealthBoard, db: &Database) {
    let probe = sqlx::query_as::<_, (i64, i64)>(
        "SELECT (SELECT count(*) FROM changes \
                 WHERE revision IS NULL AND time < now() - interval '5 seconds'), \
                (SELECT revision FROM change_sequence)",
    );
    match tokio::time::timeout(LIMIT, probe.fetch_one(db.operator())).await {
        Ok(Ok((0, revision))) => {
            board.report(Part::ChangeLog, Health::Ok, format!("at revision {revision}"));
        }
        Ok(Ok((late, revision))) => {
            let message = format!("at revision {revision}; {late} changes wait for theirs");
            board.report(Part::ChangeLog, Health::Degraded, message);
        }
        Ok(Err(error)) => {
            board.report(Part::ChangeLog, Health::Unavailable, error.to_string());
        }
        Err(_) => {
            board.report(Part::ChangeLog, Health::Unavailable, "no answer");
        }
    }
}

/// The audit login is another one, and can fail alone.
async fn audit(board: &HealthBoard, db: &Database) {
    let probe = sqlx::query("SELECT 1").execute(db.audit());
    match tokio::time::timeout(LIMIT, probe).await {
        Ok(Ok(_)) => board.report(Part::AuditLog, Health::Ok, "takes entries"),
        Ok(Err(error)) => board.report(
            Part::AuditLog,
            Health::Unavailable,
            format!("{error}; changes are refused until it can be written"),
        ),
        Err(_) => board.report(
            Part::AuditLog,
            Health::Unavailable,
            "no answer; changes are refused until it can be written",
        ),
    };
}

fn leader(board: &HealthBoard, leadership: &tokio::sync::watch::Receiver<Leadership>) {
    let now = leadership.borrow().clone();
    if now.leads {
        let message = format!("this replica leads, leader term {}", now.leader_term);
        board.report(Part::Leader, Health::Ok, message);
    } else if now.replica.is_empty() {
        board.report(
            Part::Leader,
            Health::Unavailable,
            "no replica leads; the cluster is not written to",
        );
    } else {
        let message = format!("{} leads, leader term {}", now.replica, now.leader_term);
        board.report(Part::Leader, Health::Ok, message);
    }
}

/// A cluster that answers and that a leader must not write to is of use in part only.
async fn cluster(
    board: &HealthBoard,
    cluster: &Cluster,
    standing: &tokio::sync::watch::Receiver<Standing>,
) {
    let blocked = match &*standing.borrow() {
        Standing::Blocked(blocked) => Some(format!("{}: {}", blocked.reason, blocked.message)),
        Standing::Waiting | Standing::Ready(_) => None,
    };
    match tokio::time::timeout(LIMIT, cluster.version()).await {
        Ok(Ok(version)) if let Some(why) = blocked => {
            let message = format!("Kubernetes {version}; nothing is written: {why}");
            board.report(Part::Cluster, Health::Degraded, message);
        }
        Ok(Ok(version)) => {
            board.report(Part::Cluster, Health::Ok, format!("Kubernetes {version}"));
        }
        Ok(Err(error)) => {
            board.report(Part::Cluster, Health::Unavailable, error.to_string());
        }
        Err(_) => {
            let message = format!("no answer within {} s", LIMIT.as_secs());
            board.report(Part::Cluster, Health::Unavailable, message);
        }
    }
}
