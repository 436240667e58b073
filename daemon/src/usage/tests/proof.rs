//! The proof finds what is wrong.

use super::*;

#[tokio::test]
async fn a_row_that_was_touched_is_found() {
    let metering = Metering::beginning(time("10:00:00")).await;
    metering.store([runs(1, time("10:00:00"), None), ends(2, time("10:09:00"))]).await;
    metering.settle(time("10:15:00")).await;
    metering.prove().await;
    let superuser = metering.database.superuser().await;
    for (change, undo, found) in [
        (
            "UPDATE usage_intervals SET measured_seconds = 301, session_seconds = 301 WHERE bucket_time = '2026-11-02 10:00Z'",
            "UPDATE usage_intervals SET measured_seconds = 300, session_seconds = 300 WHERE bucket_time = '2026-11-02 10:00Z'",
            [1, 1, 0, 0, 1],
        ),
        (
            "UPDATE usage_hours SET cpu_millicore_seconds = cpu_millicore_seconds + 1",
            "UPDATE usage_hours SET cpu_millicore_seconds = cpu_millicore_seconds - 1",
            [0, 1, 1, 0, 0],
        ),
        (
            "UPDATE usage_days SET unbilled_seconds = 1",
            "UPDATE usage_days SET unbilled_seconds = 0",
            [0, 0, 1, 0, 0],
        ),
        (
            "UPDATE usage_transitions SET at = at + 1 WHERE phase = 'Terminated'",
            "UPDATE usage_transitions SET at = at - 1 WHERE phase = 'Terminated'",
            [0, 0, 0, 0, 1],
        ),
    ] {
        sqlx::query(change).execute(&superuser).await.unwrap();
        let time = Span::new(time("00:00:00"), time("00:00:00").plus(86_400));
        let whose = [metering.tenant];
        let db = metering.database.database();
        let proof = verify::prove(db, Some(&whose[..]), time).await.unwrap();
        let faults: Vec<u64> = proof.checks.iter().map(|check| check.faults).collect();
        assert_eq!(faults, found, "{change}: {proof:#?}");
        assert!(!proof.holds() && !proof.faults.is_empty(), "{change}");
        sqlx::query(undo).execute(&superuser).await.unwrap();
    }
    metering.prove().await;
}
