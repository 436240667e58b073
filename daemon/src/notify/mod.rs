//! Tells people and systems outside: an outbox in the database, and who empties it.
//!
//! Who has something to tell puts it in with [`enqueue`], in the transaction of what it is
//! about: both are there or neither is. The leader sends it, each channel by itself. What was
//! sent and not noted, because the leader died, is sent again, under the same key, by which
//! the receiver knows it. What an Alertmanager tells us comes in by [`inbound`].
//!
//! It knows nothing of those who call it, and nothing of what their keys mean.

mod channels;
pub mod config;
mod convert;
pub mod figures;
pub mod inbound;
mod message;
mod send;
mod sender;
pub mod service;
mod store;
#[cfg(test)]
mod tests;

use sqlx::PgConnection;
use streamspace_core::notify::Action;

pub use channels::{Channels, Purpose};
pub use figures::NotifyCounters;
pub use inbound::{InboundAlert, leave_inbound, take_inbound};
pub use message::{Level, Matcher, Message, PublicState, Silence, StatusUpdate};
pub use sender::{Sender, SenderParts};

use crate::db::DbError;

/// What is to be told, in no channel's words. It is put into those when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Names the thread that it belongs to, the same each time: for example
    /// `streamspace/us-west-2/incidents/7`. Within one channel and key notices are sent in
    /// the order in which they were kept.
    pub dedup_key: String,
    /// What is done to that thread.
    pub action: Action,
    /// The names of the channels. One that is not configured refuses it, and says so.
    pub channels: Vec<String>,
    /// What it says.
    pub message: Message,
}

/// Keeps a notice in the caller's transaction: who commits has persisted it. `step` tells two
/// notices of one key and action apart; the same is not kept twice.
///
/// Texts that are too long are cut, and characters that act on terminals are escaped: a page
/// with half a sentence is better than none.
pub async fn enqueue(tx: &mut PgConnection, step: &str, notice: &Notice) -> Result<(), DbError> {
    let message = notice.message.bounded();
    let dedup_key = message::key(&notice.dedup_key);
    let step = message::key(step);
    for channel in &notice.channels {
        let channel = message::key(channel);
        store::insert(tx, &channel, &dedup_key, notice.action, &step, &message).await?;
    }
    Ok(())
}
