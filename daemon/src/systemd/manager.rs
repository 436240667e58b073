//! What is told to the service manager, by the protocol of `sd_notify(3)`.

use std::{borrow::Cow, env, time::Duration};

use sd_notify::NotifyState;

/// How much longer a start may take from each word of it on. A database that is away, or a
/// long migration, is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A line of `systemctl status` is no place for more.
const LONGEST_STATUS: usize = 300;

/// Who started the daemon and wants to hear of it, or nobody.
#[derive(Clone, Debug, Default)]
pub struct Manager {
    listens: bool,
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says.
    pub fn from_env() -> Self {
        let listens = env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = sd_notify::watchdog_enabled().filter(|every| listens && !every.is_zero());
        Self { listens, watchdog }
    }

    /// Whether anybody listens.
    pub fn listens(&self) -> bool {
        self.listens
    }

    /// Within which time it wants to hear that the daemon lives. Where it does not, it
    /// restarts the daemon.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The start goes on.
    pub fn starting(&self, words: &str) {
        let patience = u32::try_from(PATIENCE.as_micros()).unwrap_or(u32::MAX);
        let status = clean(words);
        self.tell(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(patience)]);
    }

    /// It serves: after the start, and after a reload.
    pub fn ready(&self, words: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&clean(words))]);
    }

    /// How it is.
    pub fn status(&self, words: &str) {
        self.tell(&[NotifyState::Status(&clean(words))]);
    }

    /// A reload begins. It is over with the next [`Manager::ready`].
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the monotonic clock cannot be read"),
        }
    }

    /// It ends.
    pub fn stopping(&self) {
        let words = "stopping: no new calls, and those under way end";
        self.tell(&[NotifyState::Stopping, NotifyState::Status(words)]);
    }

    /// It lives.
    pub fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if !self.listens {
            return;
        }
        if let Err(error) = sd_notify::notify(states) {
            tracing::warn!(%error, "the service manager cannot be told (NOTIFY_SOCKET)");
        }
    }
}

/// Each line of a message is an assignment, so words from elsewhere, such as the name of
/// another replica, must not have one of their own.
fn clean(words: &str) -> Cow<'_, str> {
    if words.len() <= LONGEST_STATUS && !words.contains(char::is_control) {
        return words.into();
    }
    let kept = words.chars().map(|each| if each.is_control() { ' ' } else { each });
    kept.take(LONGEST_STATUS).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_elsewhere_stay_one_short_line() {
        assert_eq!(clean("this replica leads"), "this replica leads");
        assert_eq!(clean("b\nWATCHDOG=trigger leads"), "b WATCHDOG=trigger leads");
        assert_eq!(clean(&"ü".repeat(1_000)).chars().count(), LONGEST_STATUS);
    }
}
