//! The leader's loop: read the sources, and keep what they said in one transaction.
//!
//! What the series said last is stored with the sums that it came to, so that a leader may
//! be killed at any time: the next one finds both or neither, and a reading that was
//! counted counts nothing again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use streamspace_core::usage::Second;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    ActualConfig,
    book::{Book, Page},
    metrics_api::MetricsApi,
    pods,
    prometheus::Prometheus,
    source::{Measured, Metric, Missing, Pods, Source},
    store::{self, SourceRow},
};
use crate::{
    db::{Database, DbError, Leadership, Scope, lease},
    kube::Cluster,
};

/// How often it is looked whether this replica leads.
const POLL: Duration = Duration::from_secs(2);
/// How often a cluster is asked again for an API that it does not serve.
const ASK_AGAIN: Duration = Duration::from_mins(5);

/// Which pods are those of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Those with this label.
    Label(String),
    /// All in the namespaces of tenants: nothing else runs there.
    All,
}

/// Why a round kept nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("this replica does not lead any more")]
    NotLeader,
}

impl From<sqlx::Error> for RoundError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Measures actual use.
pub struct ActualUse {
    db: Database,
    cluster: Cluster,
    selector: Selector,
    period: Duration,
    sources: Vec<Asked>,
    /// What was told of each metric, so that it is told once.
    told: BTreeMap<Metric, String>,
    failing: bool,
}

/// A source, and until when it is left alone.
struct Asked {
    source: Arc<dyn Source>,
    not_before: Option<Instant>,
}

impl ActualUse {
    /// Measures by the sources of the configuration. `cluster` is read as the daemon itself.
    pub fn new(db: Database, cluster: Cluster, selector: Selector, config: &ActualConfig) -> Self {
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        let prometheus = Prometheus::new(config);
        let taken = prometheus.as_ref().map(Source::metrics).unwrap_or_default();
        // Each metric has one source: what Prometheus is asked for is its alone.
        let rest: Vec<Metric> = [Metric::Cpu, Metric::Memory]
            .into_iter()
            .filter(|metric| config.metrics_api && !taken.contains(metric))
            .collect();
        if !rest.is_empty() {
            sources.push(Arc::new(MetricsApi::new(cluster.clone(), selector.clone(), rest)));
        }
        if let Some(prometheus) = prometheus {
            sources.push(Arc::new(prometheus));
        }
        Self::with_sources(db, cluster, selector, config.period(), sources)
    }

    pub(super) fn with_sources(
        db: Database,
        cluster: Cluster,
        selector: Selector,
        period: Duration,
        sources: Vec<Arc<dyn Source>>,
    ) -> Self {
        let asked = |source| Asked { source, not_before: None };
        let sources = sources.into_iter().map(asked).collect();
        Self { db, cluster, selector, period, sources, told: BTreeMap::new(), failing: false }
    }

    /// Measures while `standing` says that this replica leads and that the cluster is the
    /// right one, until it is stopped.
    pub async fn run(
        mut self,
        standing: impl Fn() -> Option<Leadership> + Send,
        stop: CancellationToken,
    ) {
        loop {
            let begin = Instant::now();
            let now = standing();
            let wait = match now {
                Some(leadership) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        result = self.round(&leadership) => self.tell_round(result),
                    }
                    self.period.saturating_sub(begin.elapsed())
                }
                None => POLL,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait.max(POLL)) => {}
            }
        }
    }

    fn tell_round(&mut self, result: Result<(), RoundError>) {
        match result {
            // The next leader does it.
            Ok(()) | Err(RoundError::NotLeader) => self.failing = false,
            Err(RoundError::Database(error)) => {
                if self.failing {
                    tracing::debug!(%error, "actual use is not kept");
                } else {
                    tracing::warn!(%error, "actual use is not kept; what can be read later is");
                }
                self.failing = true;
            }
        }
    }

    /// Reads every source once, and keeps it.
    pub(super) async fn round(&mut self, leadership: &Leadership) -> Result<(), RoundError> {
        let due: Vec<usize> = self.due();
        let asked: Vec<Arc<dyn Source>> = due
            .iter()
            .filter_map(|at| self.sources.get(*at))
            .map(|it| Arc::clone(&it.source))
            .collect();
        let wants_pods = asked.iter().any(|source| source.needs_pods());
        let pods = if wants_pods {
            pods::list(&self.cluster, &self.selector).await
        } else {
            Ok(Pods::new())
        };
        let answers = join_all(asked.iter().map(|source| source.read(&pods))).await;
        for (at, answer) in due.iter().zip(&answers) {
            let not_served = |measured: &Measured| measured.samples == Err(Missing::NotServed);
            if let Some(asked) = self.sources.get_mut(*at) {
                let rests = !answer.is_empty() && answer.iter().all(not_served);
                asked.not_before = rests.then(|| Instant::now() + ASK_AGAIN);
            }
        }
        let live = if wants_pods { pods.as_ref().ok() } else { None };
        let measured = answers.into_iter().flatten().collect();
        let rows = self.keep(leadership, measured, live).await?;
        self.tell(&rows);
        Ok(())
    }

    /// The sources that are asked now.
    fn due(&self) -> Vec<usize> {
        let now = Instant::now();
        let is_due = |asked: &Asked| asked.not_before.is_none_or(|time| time <= now);
        self.sources
            .iter()
            .enumerate()
            .filter_map(|(at, asked)| is_due(asked).then_some(at))
            .collect()
    }

    /// The name of the source of a metric.
    fn source(&self, metric: Metric) -> Option<&'static str> {
        let asked = self.sources.iter().find(|asked| asked.source.metrics().contains(&metric));
        asked.map(|asked| asked.source.name())
    }

    async fn keep(
        &self,
        leadership: &Leadership,
        measured: Vec<Measured>,
        pods: Option<&Pods>,
    ) -> Result<Vec<SourceRow>, RoundError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Err(RoundError::NotLeader);
        }
        let now: i64 =
            sqlx::query_scalar("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint")
                .fetch_one(&mut *tx)
                .await?;
        let now = Second(now);
        let tenants = store::tenants(&mut tx).await?;
        let known = store::series(&mut tx).await?;
        let mut rows = self.rows(store::sources(&mut tx).await?);
        let book = Book { tenants: &tenants, known: &known, now };
        let mut page = Page::default();
        for Measured { metric, samples } in measured {
            let Some(row) = rows.get_mut(&metric) else { continue };
            match samples {
                Ok(samples) => {
                    let off = page.off;
                    let since = *row.since.get_or_insert(now);
                    book.enter(&mut page, metric, since, samples);
                    row.last = Some(now);
                    row.problem = clocks(page.off - off);
                }
                Err(missing) => row.problem = missing.to_string(),
            }
        }
        let rows: Vec<SourceRow> = rows.into_values().collect();
        store::add(&mut tx, &page.hours).await?;
        store::remember(&mut tx, &page.series).await?;
        let live = pods.map(|pods| {
            let whose = pods.keys().filter_map(|pod| {
                tenants.get(&pod.namespace).map(|tenant| (*tenant, pod.name.as_str()))
            });
            whose.collect::<BTreeSet<(Uuid, &str)>>()
        });
        store::forget(&mut tx, &known, live.as_ref(), now).await?;
        store::note(&mut tx, &rows).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// A row for each metric, with what was known of the same source before.
    fn rows(&self, mut before: BTreeMap<Metric, SourceRow>) -> BTreeMap<Metric, SourceRow> {
        let row = |metric: Metric| {
            let fresh = |source: &str, problem: &str| SourceRow {
                metric,
                source: source.to_owned(),
                since: None,
                last: None,
                problem: problem.to_owned(),
            };
            match (self.source(metric), before.remove(&metric)) {
                (None, _) => fresh("", metric.remedy()),
                (Some(source), Some(row)) if row.source == source => row,
                (Some(source), _) => fresh(source, ""),
            }
        };
        Metric::ALL.map(row).into_iter().map(|row| (row.metric, row)).collect()
    }

    /// Tells each problem once, and its end.
    fn tell(&mut self, rows: &[SourceRow]) {
        for row in rows.iter().filter(|row| !row.source.is_empty()) {
            let told = self.told.insert(row.metric, row.problem.clone()).unwrap_or_default();
            if told == row.problem {
                continue;
            }
            let (metric, source) = (row.metric.as_str(), &row.source);
            if row.problem.is_empty() {
                tracing::info!(metric, source, "actual use is measured again");
            } else if row.problem == Missing::NotServed.to_string() {
                tracing::info!(metric, source, reason = row.problem, "actual use is not measured");
            } else {
                tracing::warn!(metric, source, reason = row.problem, "actual use is not measured");
            }
        }
    }
}

/// What is wrong where samples have times that cannot be.
fn clocks(off: usize) -> String {
    if off == 0 {
        return String::new();
    }
    format!(
        "{off} readings are older than ten minutes or later than now and were not counted: check the \
         clocks of the source and of PostgreSQL"
    )
}
