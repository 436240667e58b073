//! One page after the other.

use streamspace_proto::v1::{
    ClusterEvent, DescribeSessionResponse, Quota, QuotaLine, SessionObject, SessionPhase,
    TenantObject, TenantObjectState,
};

use super::*;
use crate::testing::{lost, session, three_regions, well};

#[test]
fn the_overview_at_every_size() {
    for (width, height) in SIZES {
        check("overview", &one_region(width, height));
    }
}

#[test]
fn three_regions_of_which_one_is_sick_and_one_dead() {
    for (width, height) in SIZES {
        let mut state = three_regions(width, height);
        (0..3).for_each(|region| inhabited(&mut state, region));
        let dead = EventKind::News(RegionIndex(2), News::Watch(vec![lost()]));
        feed(&mut state, NOW + 1, dead);
        for region in 0..2 {
            let bookmark = News::Watch(vec![Watched::Quiet]);
            feed(&mut state, NOW + 41, EventKind::News(RegionIndex(region), bookmark));
            let EventKind::News(_, report) = region_report(well()) else { unreachable!() };
            feed(&mut state, NOW + 41, EventKind::News(RegionIndex(region), report));
        }
        check("regions", &state);
        key(&mut state, KeyCode::Char('t'));
        check("regions-tenants", &state);
    }
}

#[test]
fn sessions_of_all_and_of_one_tenant() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        key(&mut state, KeyCode::Char('S'));
        check("sessions", &state);
    }
    let mut state = one_region(80, 24);
    for c in "t/acme".chars() {
        key(&mut state, KeyCode::Char(c));
    }
    key(&mut state, KeyCode::Enter);
    key(&mut state, KeyCode::Char('s'));
    check("sessions-of-one", &state);
}

#[test]
fn a_session_with_its_objects_and_events() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        key(&mut state, KeyCode::Char('S'));
        let effects = feed(&mut state, NOW, EventKind::Key(Key::plain(KeyCode::Enter)));
        check("session-asked", &state);
        let [Effect::Ask(_, question @ Question::Session(_))] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        let reply = DescribeSessionResponse {
            session: Some(session("beta-inc/cyd-1", SessionPhase::Failed, "")),
            objects: vec![SessionObject {
                kind: "Deployment".into(),
                name: "cyd-1".into(),
                status: "0 of 1 ready".into(),
            }],
            events: vec![ClusterEvent {
                time: crate::testing::time(NOW - 20),
                warning: true,
                reason: "Failed".into(),
                object: "Pod/cyd-1-7d9f".into(),
                message: "Failed to pull image \"example.com/firefox:1\": not found".into(),
                count: 4,
            }],
            message: String::new(),
        };
        let answer = Answer::Session(Box::new(reply));
        feed(&mut state, NOW, here(News::Answer(question.clone(), Ok(answer))));
        check("session", &state);
    }
}

#[test]
fn a_tenants_quota_with_its_gauges() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        for c in "t/acme".chars() {
            key(&mut state, KeyCode::Char(c));
        }
        key(&mut state, KeyCode::Enter);
        let effects = feed(&mut state, NOW, EventKind::Key(Key::plain(KeyCode::Enter)));
        let [Effect::Ask(_, question @ Question::Quota(_)), Effect::Ask(_, objects)] =
            effects.as_slice()
        else {
            panic!("{effects:?}")
        };
        let line = |resource: &str, used: &str, hard: &str, share, full| QuotaLine {
            resource: resource.into(),
            used: used.into(),
            hard: hard.into(),
            used_permille: share,
            exhaust_time: full,
            ..QuotaLine::default()
        };
        let quota = Quota {
            tenant: "tenants/acme-corp".into(),
            lines: vec![
                line("cpu", "86500m", "100", 865, crate::testing::time(NOW + 187_200)),
                line("memory", "148Gi", "200Gi", 740, crate::testing::time(NOW + 784_800)),
                line("storage", "200Gi", "1Ti", 195, None),
                line("pods", "43", "500", 86, None),
            ],
            observed: true,
            ..Quota::default()
        };
        let answer = Answer::Quota(Box::new(quota));
        feed(&mut state, NOW, here(News::Answer(question.clone(), Ok(answer))));
        let object = |kind: &str, name: &str, state: TenantObjectState| TenantObject {
            kind: kind.into(),
            name: name.into(),
            state: state.into(),
            ..TenantObject::default()
        };
        let answer = Answer::Objects(vec![
            object("Namespace", "tenant-acme-corp", TenantObjectState::InSync),
            object("ResourceQuota", "plan", TenantObjectState::InSync),
            object("NetworkPolicy", "default-deny", TenantObjectState::InSync),
            object("NetworkPolicy", "allow-dns", TenantObjectState::Missing),
        ]);
        feed(&mut state, NOW, here(News::Answer(objects.clone(), Ok(answer))));
        check("quota", &state);
    }
}

#[test]
fn operations_and_one_of_them() {
    for (width, height) in SIZES {
        let mut state = one_region(width, height);
        key(&mut state, KeyCode::Char('p'));
        check("operations", &state);
        key(&mut state, KeyCode::Enter);
        check("operation", &state);
    }
}
