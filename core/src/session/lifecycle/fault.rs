//! What the cluster says is wrong with a session.

/// The most characters of the cluster's words that are kept.
const MESSAGE_MAXIMUM: usize = 1024;

/// Reasons after which the cluster goes on trying, and rarely with success. All others
/// (`Unschedulable`, where a node may yet come) wait for the end of the time that a start
/// may take.
const FAILING: [&str; 13] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
    "OOMKilled",
    "ProgressDeadlineExceeded",
    // The Deployment could make no pod: a quota or an admission policy refused it.
    "FailedCreate",
    "ReplicaFailure",
];

/// What the cluster says is wrong: of a container that waits, a pod that finds no node,
/// a Deployment that could make no pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cluster's word for it, for example `ImagePullBackOff`.
    pub reason: String,
    /// The cluster's own words.
    pub message: String,
}

impl Fault {
    /// Whether the session counts as failed at once.
    pub fn fails_at_once(&self) -> bool {
        FAILING.contains(&self.reason.as_str())
    }

    /// The word, which a condition must have.
    pub(super) fn word(&self) -> &str {
        if self.reason.is_empty() { "Failed" } else { &self.reason }
    }

    /// The words, at most so many that an object can hold them.
    pub(super) fn words(&self) -> String {
        let mut words: String = self.message.chars().take(MESSAGE_MAXIMUM).collect();
        if self.message.chars().nth(MESSAGE_MAXIMUM).is_some() {
            words.push('…');
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut() {
        let fault = Fault { reason: String::new(), message: "é".repeat(1025) };
        assert_eq!(fault.words().chars().count(), 1025);
        assert!(fault.words().ends_with('…'));
        assert_eq!((fault.word(), fault.fails_at_once()), ("Failed", false));
        let short = Fault { reason: "FailedCreate".into(), message: "é".repeat(1024) };
        assert_eq!(short.words(), short.message);
        assert!(short.fails_at_once());
    }
}
