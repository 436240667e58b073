//! Several regions asked at once.
//!
//! Each has the same deadline and none waits for another: what a region does not
//! answer in time is told as unread, and the others' answers are there.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use crate::{ClientError, Connection};

/// What a region answered, or why there is no answer.
#[derive(Clone, Debug)]
pub struct RegionAnswer<T, E> {
    /// The name of its context.
    pub context: String,
    /// What came of it.
    pub result: Result<T, E>,
}

/// Asks every region at the same time, each for at most `deadline`. What ends by
/// itself within the `grace` after it tells best what happened.
///
/// The answers stand in the order of the connections, whoever came first.
pub async fn ask_all<T, E: From<ClientError>>(
    connections: &[Connection],
    deadline: Duration,
    grace: Duration,
    ask: impl AsyncFn(&Connection) -> Result<T, E>,
) -> Vec<RegionAnswer<T, E>> {
    join_all(connections.iter().map(|connection| {
        let asked = ask(connection);
        async move {
            let context = connection.context().name.clone();
            let result = match timeout(deadline + grace, asked).await {
                Ok(result) => result,
                Err(_) => Err(ClientError::TimedOut(deadline).into()),
            };
            RegionAnswer { context, result }
        }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{Context, Environment, Options, context::CredentialReference};

    fn connection(name: &str) -> Connection {
        let context = Context {
            name: name.into(),
            endpoint: "127.0.0.1:1".parse().unwrap(),
            region: String::new(),
            authorities: Vec::new(),
            credential: CredentialReference::File { path: PathBuf::from("none") },
            protected: false,
        };
        Connection::open(&context, &Options::new(Environment::default())).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_holds_up_nobody_and_the_order_stays() {
        let connections: Vec<_> = ["slow", "late", "quick", "silent"].map(connection).into();
        let begin = Instant::now();
        let second = Duration::from_secs(1);
        let answers = ask_all(&connections, 5 * second, second, async |connection| {
            let name = connection.context().name.as_str();
            sleep(match name {
                "silent" => 1000 * second,
                "slow" => 3 * second,
                // It ends by itself within the grace.
                "late" => 5 * second + second / 2,
                _ => Duration::ZERO,
            })
            .await;
            Ok::<_, ClientError>(name.len())
        })
        .await;
        assert_eq!(begin.elapsed(), 6 * second);
        let told: Vec<_> = answers
            .iter()
            .map(|answer| (answer.context.as_str(), answer.result.as_ref().ok().copied()))
            .collect();
        assert_eq!(
            told,
            [("slow", Some(4)), ("late", Some(4)), ("quick", Some(5)), ("silent", None)]
        );
        let error = answers[3].result.as_ref().unwrap_err();
        assert!(matches!(error, ClientError::TimedOut(after) if *after == 5 * second), "{error}");
    }
}
