//! Keeps the service manager up to date from the start to the end.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Manager;

/// How often is looked whether the words changed.
const LOOK: Duration = Duration::from_secs(1);
/// How long a task may wait for its turn before the runtime counts as stuck.
const TURN: Duration = Duration::from_secs(5);

/// What the daemon tells of itself.
pub trait Signs: Send + Sync + 'static {
    /// How it is, in a few words.
    fn words(&self) -> String;

    /// Whether it makes progress; else what hangs. It may ask the database, so it may take a
    /// while.
    fn hangs(&self) -> impl Future<Output = Option<String>> + Send;
}

/// Tells the manager how the daemon is.
#[derive(Debug)]
pub struct Keeper<S> {
    manager: Manager,
    signs: S,
    told: String,
    hung: bool,
}

impl<S: Signs> Keeper<S> {
    /// Tells this manager.
    pub fn new(manager: Manager, signs: S) -> Self {
        Self { manager, signs, told: String::new(), hung: false }
    }

    /// Asks for patience while the daemon gets ready. It goes on until it is dropped.
    pub async fn starting(&self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.manager.starting(&format!("starting: {}", self.signs.words()));
        }
    }

    /// Says that the daemon is ready, and from then on how it is and that it lives. Once
    /// `stopping` it says so; until `end` it goes on to say that it lives, since what is
    /// under way may take a while.
    pub async fn run(mut self, stopping: CancellationToken, end: CancellationToken) {
        self.told = self.signs.words();
        self.manager.ready(&self.told);
        if !self.manager.listens() {
            return;
        }
        let every = self.manager.watchdog().map(|limit| limit / 2);
        let mut look = interval(every.unwrap_or(LOOK).min(LOOK));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fed: Option<Instant> = None;
        let mut stops = false;
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = stopping.cancelled(), if !stops => {
                    stops = true;
                    self.manager.stopping();
                }
                now = look.tick() => {
                    if !stops {
                        self.tell_words();
                    }
                    let due = |every| fed.is_none_or(|fed| now.duration_since(fed) >= every);
                    if every.is_some_and(due) && self.lives(stops).await {
                        self.manager.alive();
                        fed = Some(now);
                    }
                }
            }
        }
    }

    fn tell_words(&mut self) {
        let words = self.signs.words();
        if words != self.told {
            self.manager.status(&words);
            self.told = words;
        }
    }

    /// What is stopped answers no more, so that only the runtime is judged then.
    async fn lives(&mut self, stops: bool) -> bool {
        let found = match timeout(TURN, tokio::spawn(async {})).await {
            Err(_) => Some(format!("no task had its turn within {} s", TURN.as_secs())),
            Ok(_) if stops => None,
            Ok(_) => self.signs.hangs().await,
        };
        match &found {
            Some(what) if !self.hung => {
                tracing::error!(
                    what,
                    "the daemon hangs; the service manager is not told that it lives, and \
                     restarts it"
                );
            }
            None if self.hung => tracing::info!("the daemon hangs no more"),
            _ => {}
        }
        self.hung = found.is_some();
        found.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    struct Fixed(Arc<AtomicBool>);

    impl Signs for Fixed {
        fn words(&self) -> String {
            "well".to_owned()
        }

        async fn hangs(&self) -> Option<String> {
            self.0.load(Ordering::SeqCst).then(|| "the pool".to_owned())
        }
    }

    #[tokio::test]
    async fn what_hangs_is_not_said_to_live_unless_it_stops() {
        let hangs = Arc::new(AtomicBool::new(false));
        let mut keeper = Keeper::new(Manager::default(), Fixed(Arc::clone(&hangs)));
        assert!(keeper.lives(false).await);
        hangs.store(true, Ordering::SeqCst);
        assert!(!keeper.lives(false).await);
        assert!(keeper.lives(true).await, "a stopped pool is no reason to be killed");
        hangs.store(false, Ordering::SeqCst);
        assert!(keeper.lives(false).await);
    }

    #[tokio::test]
    async fn with_nobody_to_tell_nothing_is_kept() {
        let keeper = Keeper::new(Manager::default(), Fixed(Arc::default()));
        keeper.run(CancellationToken::new(), CancellationToken::new()).await;
    }
}
