//! Alerts that open incidents, and end them.

use streamspace_proto::v1::IncidentState::{Declared, Resolved};

use super::*;

#[tokio::test]
async fn an_alert_that_pages_opens_an_incident_and_the_same_joins_it() {
    let world = World::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let first = world.alert(REGION, "slos/api").await;
    assert_eq!((world.round().await, world.round().await), (1, 0));
    world.wait(60);
    world.alert(acme.0, "slos/api").await;
    world.alert(REGION, "slos/starts").await;
    assert_eq!(world.round().await, 2);
    let mut open = world.open().await;
    open.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(open.len(), 2);
    let api = &open[0];
    assert_eq!(api.title, "slos/api burns\\u{1b}[2J", "a text of anybody acts on no terminal");
    assert_eq!((api.alerts.len(), &api.tenants[..]), (2, &["tenants/acme".to_owned()][..]));
    assert_eq!(api.declared_by, "streamspaced");
    assert_eq!(world.sent(Action::Trigger).await, 2, "one page an incident");
    // Who takes the incident has its alerts, so that nobody else begins.
    world.acknowledge(&api.name, "lee").await.unwrap();
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    let seen = alerts::find(&mut tx, first).await.unwrap().unwrap();
    assert_eq!(seen.acknowledged_by, "lee");
}

#[tokio::test]
async fn who_takes_an_alert_has_its_incident() {
    let world = World::start().await;
    let uid = world.alert(REGION, "slos/api").await;
    world.round().await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    alerts::take(&mut tx, &[uid], "max").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((world.round().await, world.round().await), (1, 0));
    assert_eq!(world.open().await[0].acknowledged_by, "max");
}

#[tokio::test]
async fn an_incident_that_nobody_took_ends_with_its_last_alert() {
    let world = World::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let first = world.alert(REGION, "slos/api").await;
    let second = world.alert(acme.0, "slos/api").await;
    world.round().await;
    world.end_alert(first).await;
    world.round().await;
    assert_eq!(world.open().await.len(), 1);
    world.end_alert(second).await;
    world.round().await;
    let all = world.list(true).await;
    assert_eq!((all.len(), all[0].state()), (1, Resolved));
    assert_eq!(world.sent(Action::Resolve).await, 1);
}

#[tokio::test]
async fn an_incident_that_somebody_has_does_not_end_by_itself() {
    let world = World::start().await;
    let uid = world.alert(REGION, "slos/api").await;
    world.round().await;
    let name = world.open().await[0].name.clone();
    world.acknowledge(&name, "lee").await.unwrap();
    world.end_alert(uid).await;
    world.round().await;
    assert_eq!(world.get(&name).await.state(), Declared);
    let over = world.texts(&name, "alert").await;
    assert_eq!(over, ["over: slos/api burns\u{1b}[2J"]);
}

#[tokio::test]
async fn a_silence_and_a_maintenance_keep_alerts_from_paging_while_they_hold() {
    let world = World::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let hour = || Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let matcher =
        v1::SilenceMatcher { label: "subject".into(), value: "slos/api".into(), negative: false };
    let silence = v1::CreateSilenceRequest {
        matchers: vec![matcher],
        duration: hour(),
        reason: "known".into(),
        ..Default::default()
    };
    world.maintenances().create_silence(&by("kim"), &silence).await.unwrap();
    let work = v1::StartMaintenanceRequest {
        duration: hour(),
        tenants: vec!["tenants/acme".into()],
        reason: "moving disks".into(),
        ..Default::default()
    };
    world.maintenances().start(&by("kim"), &work).await.unwrap();
    world.alert(REGION, "slos/api").await;
    world.alert(acme.0, "slos/starts").await;
    assert_eq!(world.round().await, 0);
    world.alert(REGION, "slos/starts").await;
    assert_eq!(world.round().await, 1, "of another subject, and of the region");
    world.wait(3_601);
    world.round().await;
    // What still fires when the time is over pages.
    let mut open = world.open().await;
    open.sort_by(|a, b| a.slos.cmp(&b.slos));
    let slos: Vec<_> = open.iter().map(|it| (it.slos[0].as_str(), it.alerts.len())).collect();
    assert_eq!(slos, [("slos/api", 1), ("slos/starts", 2)]);
    assert_eq!(world.sent(Action::Silence).await, 1);
}

#[tokio::test]
async fn an_alert_is_declared_by_hand_once() {
    let world = World::start().await;
    let uid = world.alert(REGION, "slos/api").await;
    let request = v1::DeclareIncidentRequest {
        alert: format!("alerts/{uid}"),
        acknowledged: true,
        ..Default::default()
    };
    let incidents = world.incidents();
    let incident = incidents.declare(&by("kim"), &request).await.unwrap();
    assert_eq!(incident.title, "slos/api burns\\u{1b}[2J");
    assert_eq!(incident.slos, ["slos/api"]);
    assert_eq!(world.round().await, 0, "the alert has its incident");
    let again = incidents.declare(&by("lee"), &request).await;
    assert_eq!(reason(again), "INCIDENT_EXISTS");
    world.step(&incident.name, Resolved, "").await.unwrap();
    assert_eq!(world.round().await, 0, "it was dealt with");
    incidents.declare(&by("lee"), &request).await.unwrap();
}
