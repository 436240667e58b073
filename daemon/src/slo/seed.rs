//! The SLOs that come with the daemon, until somebody who knows better changes them.

use streamspace_core::{
    ids::SloId,
    slo::{BudgetAction, BudgetStep, CreditStep, Goal, Objective, OwnCounter, Sli, Slo, Window},
};

/// The plans, what they promise in millionths, and what is owed where it was not kept.
const PLANS: [(&str, i32); 4] =
    [("free", 990_000), ("professional", 995_000), ("business", 999_000), ("enterprise", 999_900)];

/// Below these, in millionths, so many percent of a month are owed to who pays.
const CREDITS: [(i32, u8); 3] = [(999_000, 10), (990_000, 25), (950_000, 100)];

/// All of them.
pub(super) fn all() -> Vec<Slo> {
    let mut slos: Vec<Slo> = PLANS.into_iter().filter_map(of_plan).collect();
    slos.extend(latency());
    slos.extend(session_start());
    slos.extend(metering());
    slos
}

fn seed(id: &str, service: &str, ppm: i32, counter: OwnCounter) -> Option<Slo> {
    Some(Slo {
        id: SloId::parse(id).ok()?,
        display_name: String::new(),
        description: String::new(),
        service: service.into(),
        goal: Goal::Fixed(Objective::from_ppm(ppm)?),
        window: Window::Rolling { days: 30 },
        sli: Sli::Own(counter),
        per_tenant: None,
        rules: Vec::new(),
        least_total: 20,
        least_bad: 3,
        policy: [(50, BudgetAction::Notify), (80, BudgetAction::Notify)]
            .map(|(used_percent, action)| BudgetStep { used_percent, action })
            .into(),
        credits: Vec::new(),
        runbook_url: String::new(),
    })
}

fn of_plan((plan, ppm): (&str, i32)) -> Option<Slo> {
    let credits = CREDITS.into_iter().filter(|(below, _)| *below <= ppm && plan != "free");
    Some(Slo {
        display_name: format!("API availability, plan {plan}"),
        description: format!(
            "What plan {plan} promises: calls that the control plane did not fail"
        ),
        credits: credits
            .filter_map(|(below, percent)| {
                Some(CreditStep { below: Objective::from_ppm(below)?, percent })
            })
            .collect(),
        ..seed(&format!("api-availability-{plan}"), "api", ppm, OwnCounter::Calls)?
    })
}

fn latency() -> Option<Slo> {
    Some(Slo {
        display_name: "API latency".into(),
        description: "99 of 100 calls that are no streams are answered within half a second".into(),
        ..seed("api-latency", "api", 990_000, OwnCounter::CallsInTime)?
    })
}

fn session_start() -> Option<Slo> {
    Some(Slo {
        display_name: "Session start".into(),
        description: "98 of 100 sessions start, and within their time".into(),
        ..seed("session-start", "sessions", 980_000, OwnCounter::SessionStarts)?
    })
}

fn metering() -> Option<Slo> {
    Some(Slo {
        display_name: "Metering freshness".into(),
        description: "The metering is at most ten minutes behind in 995 of 1,000 minutes".into(),
        least_total: 0,
        least_bad: 0,
        ..seed("metering-freshness", "metering", 995_000, OwnCounter::MeteringFresh)?
    })
}

#[cfg(test)]
mod tests {
    use streamspace_core::slo::validate;

    use super::*;

    #[test]
    fn all_of_them_are_good() {
        let all = all();
        assert_eq!(all.len(), 7);
        for slo in all {
            assert_eq!(validate(&slo), Ok(()), "{}", slo.id.as_str());
        }
    }
}
