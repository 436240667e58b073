//! Definitions: made, changed, deleted, read from and written as text.

use super::*;

#[tokio::test]
async fn one_is_made_changed_and_deleted() {
    let world = World::start().await;
    let slos = world.service();
    let create = v1::CreateSloRequest {
        slo_id: "calls".into(),
        slo: Some(own(v1::OwnCounter::Calls)),
        validate_only: true,
        ..Default::default()
    };
    slos.create(&kim(), &create).await.unwrap();
    assert!(matches!(slos.get(&kim(), "slos/calls").await, Err(RpcError::NotFound(_))));
    let create = v1::CreateSloRequest {
        validate_only: false,
        request_id: Uuid::new_v4().to_string(),
        ..create
    };
    let made = slos.create(&kim(), &create).await.unwrap();
    assert_eq!(slos.create(&kim(), &create).await.unwrap(), made, "a retry is no second one");
    let again = v1::CreateSloRequest { request_id: String::new(), ..create };
    assert!(matches!(slos.create(&kim(), &again).await, Err(RpcError::AlreadyExists(_))));
    assert_eq!(slos.get(&kim(), "slos/calls").await.unwrap(), made);
    let all = slos.list_budgets(&kim(), &v1::ListBudgetsRequest::default()).await.unwrap();
    let states: Vec<v1::BudgetState> = all.budgets.iter().map(v1::Budget::state).collect();
    assert_eq!(states, [v1::BudgetState::Unspecified], "it is too young to be well or not");
    let update = |fields: &[&str], slo: v1::Slo| v1::UpdateSloRequest {
        slo: Some(v1::Slo { name: "slos/calls".into(), ..slo }),
        update_mask: Some(prost_types::FieldMask {
            paths: fields.iter().map(ToString::to_string).collect(),
        }),
        ..Default::default()
    };
    let stricter = v1::Slo { objective: "99.99".into(), etag: made.etag.clone(), ..made.clone() };
    let changed = slos.update(&kim(), &update(&["objective"], stricter.clone())).await.unwrap();
    assert_eq!(changed.objective, "99.99");
    let stale = slos.update(&kim(), &update(&["objective"], stricter)).await;
    assert!(matches!(stale, Err(RpcError::EtagMismatch(_))));
    let wrong = slos.update(&kim(), &update(&["seeded"], v1::Slo::default())).await.unwrap_err();
    assert!(faults(&wrong).contains("update_mask: \"seeded\" cannot be changed"), "{wrong}");
    let low = v1::Slo { objective: "50".into(), ..Default::default() };
    let never = slos.update(&kim(), &update(&["objective"], low)).await.unwrap_err();
    assert!(faults(&never).contains("slo.objective: 50 %"), "{never}");
    let delete = v1::DeleteSloRequest { name: "slos/calls".into(), ..Default::default() };
    slos.delete(&kim(), &delete).await.unwrap();
    assert!(matches!(slos.get(&kim(), "slos/calls").await, Err(RpcError::NotFound(_))));
}

/// Another indicator is another measure: what was measured by the old one is forgotten.
#[tokio::test]
async fn another_indicator_begins_anew_and_another_objective_does_not() {
    let world = World::start().await;
    world.make("calls", own(v1::OwnCounter::Calls)).await;
    for minute in 0..10 {
        world.count("calls", REGION, minute, 10, 10).await;
    }
    world.at(10);
    world.evaluate().await;
    assert!(!world.told("calls").await.is_empty());
    let update = async |field: &str, slo: v1::Slo| {
        let request = v1::UpdateSloRequest {
            slo: Some(v1::Slo { name: "slos/calls".into(), ..slo }),
            update_mask: Some(prost_types::FieldMask { paths: vec![field.into()] }),
            ..Default::default()
        };
        world.service().update(&kim(), &request).await.unwrap();
    };
    update("objective", v1::Slo { objective: "99".into(), ..Default::default() }).await;
    world.count("calls", REGION, 10, 10, 0).await;
    world.at(11);
    world.evaluate().await;
    let budget = world.budget("slos/calls", "").await;
    assert_eq!((budget.objective.as_str(), budget.total), ("99", 110));
    update("sli", own(v1::OwnCounter::CallsInTime)).await;
    assert_eq!(world.budget("slos/calls", "").await.state(), v1::BudgetState::Unspecified);
    assert!(world.told("calls").await.iter().all(|(.., end)| end.is_some()), "nothing fires");
}

#[tokio::test]
async fn what_an_outage_would_cost_and_what_is_owed() {
    let world = World::start().await;
    let credit =
        |below: &str, credit_percent| v1::CreditStep { below: below.into(), credit_percent };
    let slo = v1::Slo {
        credits: vec![credit("99.9", 10), credit("99.0", 25)],
        policy: vec![v1::BudgetStep { used_percent: 80, action: v1::BudgetAction::Freeze.into() }],
        ..own(v1::OwnCounter::Calls)
    };
    world.make("calls", slo).await;
    world.count("calls", REGION, 0, 10_000, 3).await;
    world.at(1);
    world.evaluate().await;
    let request = |seconds| v1::PreviewOutageRequest {
        slo: "slos/calls".into(),
        outage: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..Default::default()
    };
    let preview = world.service().preview_outage(&kim(), &request(1_200)).await.unwrap();
    assert_eq!((preview.cost_ppm, preview.remaining_ppm), (462_963, 237_037));
    assert!(preview.reached.is_empty(), "76 % would be used");
    let page = preview.page_after.unwrap();
    assert_eq!((page.seconds, page.nanos), (51, 840_000_000));
    let longer = world.service().preview_outage(&kim(), &request(1_800)).await.unwrap();
    assert_eq!(longer.reached.len(), 1);
    for seconds in [0, -1, 31 * 86_400] {
        let error = world.service().preview_outage(&kim(), &request(seconds)).await.unwrap_err();
        assert!(faults(&error).contains("outage: must be"), "{error}");
    }
}

#[tokio::test]
async fn text_goes_in_and_comes_out() {
    let world = World::start().await;
    let slos = world.service();
    let text = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: web}\nspec:\n  service: web\n  \
                indicator: {metadata: {name: i}, spec: {ratioMetric: {counter: true, \
                good: {metricSource: {type: Prometheus, spec: {query: 'ok_total'}}}, \
                total: {metricSource: {type: Prometheus, spec: {query: 'all_total'}}}}}}\n  \
                timeWindow: [{duration: 28d, isRolling: true}]\n  \
                objectives: [{target: 0.999}]\n---\napiVersion: openslo/v1\nkind: Service\n\
                metadata: {name: web}\nspec: {}\n";
    let import =
        |openslo: &str| v1::ImportSlosRequest { openslo: openslo.into(), ..Default::default() };
    let made = slos.import(&kim(), &import(text)).await.unwrap();
    let outcome = |reply: &v1::ImportSlosResponse| reply.slos[0].outcome.clone();
    assert_eq!((outcome(&made).as_str(), made.notes.len()), ("created", 1));
    let again = slos.import(&kim(), &import(text)).await.unwrap();
    assert_eq!(outcome(&again), "unchanged");
    let export = |slos: Vec<String>, format: v1::SloFormat| v1::ExportSlosRequest {
        slos,
        format: format.into(),
    };
    let written = slos.export(&kim(), &export(vec![], v1::SloFormat::Openslo)).await.unwrap().text;
    let round = slos.import(&kim(), &import(&written)).await.unwrap();
    assert_eq!(outcome(&round), "unchanged", "{written}");
    let changed = slos.import(&kim(), &import(&text.replace("0.999", "0.995"))).await.unwrap();
    assert_eq!(outcome(&changed), "changed");
    world.make("batch", pushed()).await;
    let rules = slos.export(&kim(), &export(vec![], v1::SloFormat::Prometheus)).await.unwrap().text;
    assert!(rules.contains("# batch is left out: what is pushed"), "{rules}");
    let named = vec!["slos/batch".to_owned()];
    let error = slos.export(&kim(), &export(named, v1::SloFormat::Prometheus)).await.unwrap_err();
    assert!(faults(&error).contains("slos/batch cannot be exported"), "{error}");
    for (text, words) in [
        ("a: [", "openslo: is no YAML"),
        ("", "has no document of kind SLO"),
        (&text.replace("target: 0.999", "target: .nan"), "target"),
        (&text.replace("target: 0.999", "target: .inf"), "target"),
        (&text.replace("target: 0.999", "target: 1"), "leaves no error budget"),
        (&text.replace("28d", "0d"), "a rolling window has 1 to 90 days"),
        (&text.replace("kind: SLO", "kind: Slo"), "`Slo` is no kind of OpenSLO"),
    ] {
        let error = slos.import(&kim(), &import(text)).await.unwrap_err();
        assert!(faults(&error).contains(words), "{words}: {error}");
    }
    assert_eq!(slos.get(&kim(), "slos/web").await.unwrap().objective, "99.5", "nothing changed");
}

#[tokio::test]
async fn seeds_are_planted_once_and_what_is_deleted_stays_away() {
    let mut world = World::start().await;
    world.config.seeded = true;
    world.evaluate().await;
    let all = world.service().get(&kim(), "slos/api-availability-enterprise").await.unwrap();
    assert_eq!((all.objective.as_str(), all.seeded), ("99.99", true));
    let delete = v1::DeleteSloRequest { name: all.name, ..Default::default() };
    world.service().delete(&kim(), &delete).await.unwrap();
    world.evaluate().await;
    let gone = world.service().get(&kim(), "slos/api-availability-enterprise").await;
    assert!(matches!(gone, Err(RpcError::NotFound(_))));
    assert!(world.service().get(&kim(), "slos/api-latency").await.is_ok());
}
