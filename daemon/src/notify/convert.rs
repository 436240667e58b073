//! Notices and channels as the contract shows them.

use streamspace_core::notify::NoticeState;
use streamspace_proto::v1;

use super::{
    channels::Channel,
    store::{Record, Standing},
};
use crate::rpc::time::timestamp;

fn state(state: NoticeState) -> v1::NoticeState {
    match state {
        NoticeState::Waiting => v1::NoticeState::Waiting,
        NoticeState::Sent => v1::NoticeState::Sent,
        NoticeState::Refused => v1::NoticeState::Refused,
        NoticeState::Expired => v1::NoticeState::Expired,
    }
}

/// The state that a request asks for: nothing where it asks for all.
pub(super) fn wanted(word: i32) -> Result<Option<NoticeState>, String> {
    match v1::NoticeState::try_from(word) {
        Ok(v1::NoticeState::Unspecified) => Ok(None),
        Ok(v1::NoticeState::Waiting) => Ok(Some(NoticeState::Waiting)),
        Ok(v1::NoticeState::Sent) => Ok(Some(NoticeState::Sent)),
        Ok(v1::NoticeState::Refused) => Ok(Some(NoticeState::Refused)),
        Ok(v1::NoticeState::Expired) => Ok(Some(NoticeState::Expired)),
        Err(_) => Err("must be one of the states, or left out".into()),
    }
}

pub(super) fn notice(record: &Record) -> v1::Notice {
    let message = record.message.clone().unwrap_or_default();
    let waits = record.state == NoticeState::Waiting;
    v1::Notice {
        name: format!("notices/{}", record.uid),
        channel: format!("channels/{}", record.channel),
        dedup_key: record.dedup_key.clone(),
        action: record.action.as_str().to_owned(),
        step: record.step.clone(),
        summary: message.summary,
        severity: message.severity.as_str().to_owned(),
        state: state(record.state).into(),
        attempts: record.attempts,
        problem: record.problem.clone(),
        create_time: timestamp(record.created),
        next_attempt_time: timestamp(record.next).filter(|_| waits),
        settle_time: record.settled.and_then(timestamp),
    }
}

/// A channel, and how it is.
pub(super) fn channel(name: &str, channel: Option<&Channel>, standing: &Standing) -> v1::Channel {
    let purposes = channel.map(|channel| channel.purposes.as_slice()).unwrap_or_default();
    v1::Channel {
        name: format!("channels/{name}"),
        kind: channel.map(|channel| channel.kind.as_str().to_owned()).unwrap_or_default(),
        purposes: purposes.iter().map(|purpose| purpose.as_str().to_owned()).collect(),
        waiting_count: standing.waiting,
        refused_count: standing.refused,
        last_success_time: standing.success.and_then(timestamp),
        last_error_time: standing.error_time.and_then(timestamp),
        last_error: standing.error.clone(),
    }
}
