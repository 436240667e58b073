//! The simulator and a real kube-apiserver side by side, and how long each took.

use std::time::{Duration, Instant};

use http::Method;
use kube::Client;
use serde_json::Value;
use streamspace_sim::Simulator;

use crate::support::send;

/// Both, asked in the same words.
pub(crate) struct Pair {
    pub(crate) simulator: Client,
    pub(crate) real: Client,
    /// How long the simulator took so far.
    pub(crate) simulated: Duration,
    /// How long the real one took so far.
    pub(crate) awaited: Duration,
}

impl Pair {
    pub(crate) fn new(real: Client) -> Self {
        let begin = Instant::now();
        let simulator = Simulator::in_memory().client();
        Self { simulator, real, simulated: begin.elapsed(), awaited: Duration::ZERO }
    }

    /// The same request to both: the simulator's answer, and the one that is right.
    pub(crate) async fn ask(
        &mut self,
        method: &Method,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> ((u16, Value), (u16, Value)) {
        let ask =
            async |client: &Client| send(client, method.clone(), path, content_type, body).await;
        self.both(ask).await
    }

    /// The same to both, one after the other.
    pub(crate) async fn both<R>(&mut self, act: impl AsyncFn(&Client) -> R) -> (R, R) {
        let begin = Instant::now();
        let simulated = act(&self.simulator).await;
        self.simulated += begin.elapsed();
        let begin = Instant::now();
        let wanted = act(&self.real).await;
        self.awaited += begin.elapsed();
        (simulated, wanted)
    }
}
