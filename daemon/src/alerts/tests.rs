//! Alerts against a real PostgreSQL.

use jiff::Timestamp;
use streamspace_core::{access::Role, slo::Severity};
use streamspace_proto::v1;

use super::{NewAlert, REGION, begin, end, service::Alerts};
use crate::{
    db::{Scope, testing::TestDatabase},
    notify::Channels,
    rpc::{Caller, caller::testing::caller, errors::RpcError},
};

fn by(name: &str) -> Caller {
    caller(name, Role::Operator, Scope::Region)
}

fn alert(subject: &str) -> NewAlert {
    NewAlert {
        tenant_uid: REGION,
        kind: "SloBurn",
        rule: "burn-1h".into(),
        subject: subject.into(),
        severity: Severity::Page,
        summary: "it burns".into(),
        runbook_url: String::new(),
        start: Timestamp::now(),
    }
}

#[tokio::test]
async fn one_fires_once_ends_and_may_fire_again() {
    let test = TestDatabase::create().await;
    let db = test.database();
    let alerts = Alerts::new(db.clone(), Channels::default());
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    let first = begin(&mut tx, &alert("slos/a")).await.unwrap().unwrap();
    assert_eq!(begin(&mut tx, &alert("slos/a")).await.unwrap(), None);
    begin(&mut tx, &alert("slos/b")).await.unwrap().unwrap();
    end(&mut tx, first, Timestamp::UNIX_EPOCH).await.unwrap();
    let again = begin(&mut tx, &alert("slos/a")).await.unwrap().unwrap();
    assert_ne!(again, first);
    tx.commit().await.unwrap();
    let list = async |show_ended| {
        let request = v1::ListAlertsRequest { show_ended, ..Default::default() };
        alerts.list(&by("kim"), &request).await.unwrap().alerts
    };
    assert_eq!(list(false).await.len(), 2);
    let all = list(true).await;
    assert_eq!(all.len(), 3);
    let ended = all.last().unwrap();
    assert!(!ended.firing);
    assert_eq!(ended.end_time, ended.start_time, "it does not end before it begins");
}

#[tokio::test]
async fn of_two_who_take_one_at_once_the_first_has_it() {
    let test = TestDatabase::create().await;
    let db = test.database();
    let alerts = Alerts::new(db.clone(), Channels::default());
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    let uid = begin(&mut tx, &alert("slos/a")).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    let request =
        v1::AcknowledgeAlertRequest { name: format!("alerts/{uid}"), ..Default::default() };
    let (kim, lee) = (by("kim"), by("lee"));
    let (one, two) =
        tokio::join!(alerts.acknowledge(&kim, &request), alerts.acknowledge(&lee, &request));
    let (has_it, late) = match (one, two) {
        (Ok(alert), Err(error)) | (Err(error), Ok(alert)) => (alert.acknowledged_by, error),
        both => panic!("{both:?}"),
    };
    assert!(
        matches!(&late, RpcError::Refused { reason: "ALERT_ACKNOWLEDGED", message } if message.contains(&has_it)),
        "{late}"
    );
    let same = alerts.acknowledge(&by(&has_it), &request).await.unwrap();
    assert_eq!(same.acknowledged_by, has_it, "who has it may say so twice");
    let none = v1::AcknowledgeAlertRequest { name: "alerts/x".into(), ..Default::default() };
    assert!(matches!(alerts.acknowledge(&kim, &none).await, Err(RpcError::Invalid(_))));
}

#[tokio::test]
async fn one_links_to_its_page_where_the_pages_are_served() {
    let test = TestDatabase::create().await;
    let db = test.database();
    let config = toml::from_str("runbooks = 'https://docs.example.com/runbooks/'").unwrap();
    let alerts = Alerts::new(db.clone(), Channels::new(&config).unwrap());
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    begin(&mut tx, &alert("slos/a")).await.unwrap().unwrap();
    let own = "https://example.org/own".to_owned();
    let with_own = NewAlert { runbook_url: own.clone(), ..alert("slos/b") };
    begin(&mut tx, &with_own).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    let all = alerts.list(&by("kim"), &v1::ListAlertsRequest::default()).await.unwrap().alerts;
    let mut links: Vec<_> = all.into_iter().map(|it| (it.subject, it.runbook_url)).collect();
    links.sort();
    let page = "https://docs.example.com/runbooks/slo-burn.md".to_owned();
    assert_eq!(links, [("slos/a".to_owned(), page), ("slos/b".to_owned(), own)]);
}
