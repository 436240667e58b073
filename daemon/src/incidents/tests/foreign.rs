//! Alerts of Alertmanagers.

use streamspace_proto::v1::IncidentSeverity::{P2, P3};

use super::*;

impl World {
    /// What an Alertmanager tells, as it is kept until the leader takes it.
    async fn tells(&self, fingerprint: &str, labels: &[(&str, &str)], firing: bool) {
        let labels: std::collections::BTreeMap<_, _> = labels.iter().copied().collect();
        sqlx::query(
            "INSERT INTO inbound_alerts (fingerprint, start_time, firing, labels, annotations, \
             generator_url) VALUES ($1, '2026-03-01T02:59:00Z', $2, $3, '{}', '') \
             ON CONFLICT (fingerprint, start_time) DO UPDATE SET firing = $2, handled = false",
        )
        .bind(fingerprint)
        .bind(firing)
        .bind(sqlx::types::Json(labels))
        .execute(self.test.database().operator())
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn one_that_a_silence_hides_pages_when_that_ends_and_holds_nobody_up() {
    let world = World::start().await;
    let matcher =
        v1::SilenceMatcher { label: "alertname".into(), value: "Hidden".into(), negative: false };
    let silence = v1::CreateSilenceRequest {
        matchers: vec![matcher],
        duration: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
        reason: "known".into(),
        ..Default::default()
    };
    world.maintenances().create_silence(&by("kim"), &silence).await.unwrap();
    for index in 0..101 {
        let hidden = [("alertname", "Hidden"), ("severity", "page")];
        world.tells(&format!("aa{index}"), &hidden, true).await;
    }
    world.round().await;
    world.tells("bb", &[("alertname", "Seen"), ("severity", "page")], true).await;
    // More are hidden than a round takes.
    world.round().await;
    world.round().await;
    let open = world.open().await;
    assert_eq!((open.len(), open[0].title.as_str()), (1, "Seen"));
    world.tells("aa7", &[("alertname", "Hidden"), ("severity", "page")], false).await;
    world.wait(3_601);
    world.round().await;
    world.round().await;
    let mut open = world.open().await;
    open.retain(|incident| incident.title == "Hidden");
    assert_eq!((open.len(), open[0].alerts.len()), (1, 100), "one of them is over");
}

#[tokio::test]
async fn one_that_wakes_somebody_does_not_join_what_waits_for_the_morning() {
    let world = World::start().await;
    world.tells("aa", &[("alertname", "DiskFull"), ("severity", "warning")], true).await;
    world.round().await;
    assert_eq!(world.open().await[0].severity(), P3);
    assert!(world.outbox().await.is_empty());
    world.acknowledge("incidents/INC-1", "lee").await.unwrap();
    world.tells("bb", &[("alertname", "DiskFull"), ("severity", "critical")], true).await;
    world.round().await;
    let open = world.open().await;
    assert_eq!((open.len(), open[0].severity()), (2, P2));
    assert_eq!(world.sent(Action::Trigger).await, 1);
    world.tells("cc", &[("alertname", "DiskFull"), ("severity", "page")], true).await;
    world.round().await;
    assert_eq!((world.open().await.len(), world.sent(Action::Trigger).await), (2, 1));
}
