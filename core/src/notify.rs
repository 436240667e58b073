//! When a notice to a receiver outside is tried again, and when not.
//!
//! A receiver that is away or asks for patience is asked again, each time a little later. One
//! that refuses the notice itself would refuse it again, so it is not asked any more, and
//! people are told.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// The wait after the first try.
pub const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait that we choose ourselves.
pub const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(5);
/// The longest wait that a receiver can ask for. A page that waits longer is none.
pub const LONGEST_ASKED: SignedDuration = SignedDuration::from_mins(15);

/// What is done to the thread of notices that a dedup key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Page somebody.
    Trigger,
    /// Somebody has taken it.
    Acknowledge,
    /// It is over.
    Resolve,
    /// Tell the public: on a status page.
    Publish,
    /// Quieten alerts for a time.
    Silence,
    /// End that.
    Unsilence,
    /// Show that the channel works. Pages nobody.
    Test,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Trigger,
        Self::Acknowledge,
        Self::Resolve,
        Self::Publish,
        Self::Silence,
        Self::Unsilence,
        Self::Test,
    ];

    /// The word for it in the database and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Publish => "publish",
            Self::Silence => "silence",
            Self::Unsilence => "unsilence",
            Self::Test => "test",
        }
    }

    /// The action that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeState {
    /// Not sent yet. It stays so while the receiver is away.
    Waiting,
    /// The receiver has it.
    Sent,
    /// The receiver refused it, and would again.
    Refused,
    /// Its time was over before it could be sent.
    Expired,
}

impl NoticeState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Refused, Self::Expired];

    /// The word for it in the database, in filters and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    /// The state that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for NoticeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP status, and how long its `Retry-After` asks to wait.
    Status {
        /// The status code.
        code: u16,
        /// From `Retry-After`, where there is one that can be read.
        retry_after: Option<SignedDuration>,
    },
    /// No answer: it cannot be reached, ended the connection, or was silent for too long. It
    /// may have acted on what it got.
    Nothing,
    /// The notice cannot be put into the words of this channel.
    Unfit,
}

/// What becomes of the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is sent.
    Sent,
    /// It is refused for good, until a person asks for it again.
    Refused,
    /// It is tried again from then on.
    Again(Timestamp),
}

/// What becomes of a notice after its try number `attempts`, from 1. `share` of 2³² is how
/// much of the random part of the wait is waited.
///
/// The wait is `w/2 + w/2 · share/2³²` with `w = min(1 s · 2^(attempts − 1), 5 min)`: "equal
/// jitter", so that many replicas and notices do not come at once, and none comes at once
/// again. A receiver that asks for a longer wait gets it, up to 15 minutes.
pub fn next(attempts: u32, answer: Answer, now: Timestamp, share: u32) -> Next {
    let asked = match answer {
        Answer::Status { code: 200..=299, .. } => return Next::Sent,
        Answer::Status { code: 429 | 500..=599, retry_after } => retry_after,
        Answer::Status { .. } | Answer::Unfit => return Next::Refused,
        Answer::Nothing => None,
    };
    let wait = wait(attempts, share);
    let wait = asked.map_or(wait, |asked| wait.max(asked.min(LONGEST_ASKED)));
    Next::Again(now.saturating_add(wait).unwrap_or(Timestamp::MAX))
}

/// How long to wait after try number `attempts`.
fn wait(attempts: u32, share: u32) -> SignedDuration {
    let longest = LONGEST_WAIT.as_millis();
    let doublings = attempts.saturating_sub(1).min(16);
    let whole = FIRST_WAIT.as_millis().saturating_mul(1 << doublings).min(longest);
    let half = whole / 2;
    // Both factors have at most 32 bits.
    let random = half.saturating_mul(i128::from(share)) >> 32;
    let milliseconds = i64::try_from(half.saturating_add(random)).unwrap_or(i64::MAX);
    SignedDuration::from_millis(milliseconds)
}

/// Reads the value of a `Retry-After` header: seconds, or an instant of HTTP (RFC 9110,
/// section 10.2.3). `None` where it is neither.
pub fn retry_after(value: &str, now: Timestamp) -> Option<SignedDuration> {
    let value = value.trim();
    if !value.is_empty() && value.len() <= 9 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(SignedDuration::from_secs(value.parse().ok()?));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(at.duration_since(now).max(SignedDuration::ZERO))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None }
    }

    fn waits(attempts: u32, answer: Answer, share: u32) -> Option<SignedDuration> {
        match next(attempts, answer, now(), share) {
            Next::Again(at) => Some(at.duration_since(now())),
            Next::Sent | Next::Refused => None,
        }
    }

    #[test]
    fn each_answer_has_its_end() {
        for code in [200, 201, 202, 204, 299] {
            assert_eq!(next(1, status(code), now(), 0), Next::Sent, "{code}");
        }
        for code in [100, 301, 307, 400, 401, 403, 404, 408, 413, 422, 428, 430, 600] {
            assert_eq!(next(1, status(code), now(), 0), Next::Refused, "{code}");
        }
        assert_eq!(next(1, Answer::Unfit, now(), 0), Next::Refused);
        for answer in [status(429), status(500), status(503), status(599), Answer::Nothing] {
            assert!(waits(1, answer, 0).is_some(), "{answer:?}");
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let table = [(1, 500), (2, 1_000), (3, 2_000), (9, 128_000), (10, 150_000), (40, 150_000)];
        for (attempts, least) in table {
            let wait = waits(attempts, Answer::Nothing, 0).unwrap();
            assert_eq!(wait, SignedDuration::from_millis(least), "{attempts}");
        }
        assert_eq!(waits(1, Answer::Nothing, 1 << 31), Some(SignedDuration::from_millis(750)));
    }

    #[test]
    fn a_receiver_may_ask_for_more_patience_but_not_for_ever() {
        let asked = |seconds| Answer::Status {
            code: 429,
            retry_after: Some(SignedDuration::from_secs(seconds)),
        };
        assert_eq!(waits(1, asked(30), 0), Some(SignedDuration::from_secs(30)));
        assert_eq!(waits(1, asked(0), 0), Some(SignedDuration::from_millis(500)));
        assert_eq!(waits(1, asked(86_400), 0), Some(LONGEST_ASKED));
    }

    #[test]
    fn retry_after_is_seconds_or_an_instant() {
        let read = |value| retry_after(value, now()).map(|wait| wait.as_secs());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("Sun, 01 Mar 2026 12:00:10 GMT"), Some(10));
        assert_eq!(read("Sun, 01 Mar 2026 11:00:00 GMT"), Some(0));
        for wrong in ["", "-1", "1.5", "soon", "99999999999", "1e3"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn words_name_what_they_came_from() {
        assert!(
            Action::ALL.into_iter().all(|action| Action::parse(action.as_str()) == Some(action))
        );
        assert!(
            NoticeState::ALL
                .into_iter()
                .all(|state| NoticeState::parse(state.as_str()) == Some(state))
        );
        assert_eq!(Action::parse("Trigger"), None);
    }

    fn answers() -> impl Strategy<Value = Answer> {
        let status =
            (any::<u16>(), proptest::option::of(0_i64..1_000_000)).prop_map(|(code, wait)| {
                Answer::Status { code, retry_after: wait.map(SignedDuration::from_secs) }
            });
        prop_oneof![status, Just(Answer::Nothing), Just(Answer::Unfit)]
    }

    proptest! {
        #[test]
        fn a_wait_is_never_nothing_and_never_endless(
            attempts in any::<u32>(), answer in answers(), share in any::<u32>(),
        ) {
            if let Some(wait) = waits(attempts, answer, share) {
                prop_assert!(wait >= FIRST_WAIT / 2 && wait <= LONGEST_ASKED, "{wait}");
            }
        }

        #[test]
        fn without_being_asked_nobody_waits_longer_than_the_longest(
            attempts in any::<u32>(), share in any::<u32>(),
        ) {
            let wait = waits(attempts, Answer::Nothing, share).unwrap();
            prop_assert!(wait <= LONGEST_WAIT);
            let later = waits(attempts.saturating_add(1), Answer::Nothing, share).unwrap();
            prop_assert!(later >= wait);
        }

        #[test]
        fn whether_it_is_tried_again_does_not_depend_on_how_often_it_was(
            attempts in any::<u32>(), answer in answers(), share in any::<u32>(),
        ) {
            let first = std::mem::discriminant(&next(1, answer, now(), share));
            prop_assert_eq!(first, std::mem::discriminant(&next(attempts, answer, now(), share)));
        }

        #[test]
        fn no_header_of_a_receiver_breaks_it(value in any::<String>()) {
            if let Some(wait) = retry_after(&value, now()) {
                prop_assert!(wait >= SignedDuration::ZERO);
            }
        }
    }
}
