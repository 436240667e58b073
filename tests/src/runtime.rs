//! One runtime for all stories of a test binary, so that connections and processes that
//! they share outlive the story that opened them.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::sync::LazyLock;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
});

/// Runs a story to its end.
pub fn story<T>(story: impl Future<Output = T>) -> T {
    RUNTIME.block_on(story)
}
