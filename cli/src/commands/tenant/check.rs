//! `ssctl tenant check`: a tenant's isolation, proved rule by rule.

use jiff::Timestamp;
use streamspace_proto::{
    json::to_value,
    v1::{CheckTenantRequest, CheckTenantResponse, ConditionStatus, IsolationRule, Tenant},
};

use crate::{
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Listing, Tone, print_rows, print_value},
    resource::{call, full_name},
    shell::Shell,
};

pub(super) async fn run(shell: &Shell, typed: &str) -> Outcome {
    let name = full_name::<Tenant>(typed);
    let connection = shell.connect()?;
    let request = CheckTenantRequest { name: name.clone() };
    let proof =
        call!(&connection, tenants.check_tenant(request)).doing(|| format!("check {name}"))?;
    if shell.format().is_data() {
        print_value(shell, &to_value(&proof)?)?;
    } else {
        print_rows(shell, &listing(shell.terminal.unicode), &proof.rules)?;
    }
    verdict(&name, &proof)
}

/// Done only where every rule holds: what could not be asked is not proved.
fn verdict(name: &str, proof: &CheckTenantResponse) -> Outcome {
    let count = |status| proof.rules.iter().filter(|rule| rule.status() == status).count();
    let (all, broken) = (proof.rules.len(), count(ConditionStatus::False));
    let unknown = all - broken - count(ConditionStatus::True);
    let message = match (broken, unknown) {
        (0, 0) if proof.holds => return Ok(()),
        (0, 0) => format!("the isolation of {name} is not proved"),
        (broken, 0) => format!("{broken} of {all} rules do not hold for {name}"),
        (0, unknown) => format!("{unknown} of {all} rules could not be asked for {name}"),
        (broken, unknown) => format!(
            "{broken} of {all} rules do not hold for {name}, and {unknown} could not be asked"
        ),
    };
    let id = name.trim_start_matches("tenants/");
    let next = if broken > 0 {
        format!("`ssctl tenant show {id} --objects` shows which object is not as wished")
    } else {
        "what was not told is under WRONG; `ssctl region show` tells how the region is".into()
    };
    Err(Failure::CheckFailed { message, next })
}

fn listing(unicode: bool) -> Listing<IsolationRule> {
    Listing {
        plural: "rules",
        columns: columns(unicode),
        name: |rule| rule.rule.clone(),
        value: |rule| Ok(to_value(rule)?),
    }
}

fn columns(unicode: bool) -> Vec<Column<IsolationRule>> {
    let mark: fn(&IsolationRule, Timestamp) -> Cell = if unicode {
        |rule, _| mark(rule.status(), "✓", "✗")
    } else {
        |rule, _| mark(rule.status(), "ok", "FAILS")
    };
    vec![
        Column::new("", mark),
        Column::new("RULE", |rule: &IsolationRule, _| rule.rule.clone().into()),
        Column::new("SAYS", |rule, _| rule.description.clone().into()),
        Column::new("WRONG", |rule, _| match rule.status() {
            ConditionStatus::True => Cell::from(""),
            _ => rule.message.clone().into(),
        }),
        Column::wide("HOW", |rule, _| match rule.status() {
            ConditionStatus::True => rule.message.clone().into(),
            _ => Cell::from(""),
        }),
    ]
}

fn mark(status: ConditionStatus, holds: &str, fails: &str) -> Cell {
    match status {
        ConditionStatus::True => Cell::toned(holds, Tone::Good),
        ConditionStatus::False => Cell::toned(fails, Tone::Bad),
        ConditionStatus::Unknown | ConditionStatus::Unspecified => Cell::toned("?", Tone::Doubtful),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(statuses: &[ConditionStatus]) -> CheckTenantResponse {
        let rule = |status: &ConditionStatus| IsolationRule {
            status: (*status).into(),
            ..IsolationRule::default()
        };
        let holds = statuses.iter().all(|status| *status == ConditionStatus::True);
        CheckTenantResponse { rules: statuses.iter().map(rule).collect(), holds }
    }

    fn told(statuses: &[ConditionStatus]) -> String {
        match verdict("tenants/acme", &proof(statuses)) {
            Ok(()) => String::new(),
            Err(failure) => failure.report(false),
        }
    }

    #[test]
    fn only_what_is_proved_passes() {
        use ConditionStatus::{False, True, Unknown};
        assert_eq!(told(&[True, True]), "");
        assert!(told(&[True, False]).contains("1 of 2 rules do not hold for tenants/acme"));
        assert!(told(&[True, Unknown]).contains("1 of 2 rules could not be asked"));
        let both = told(&[False, Unknown, True]);
        assert!(both.contains("1 of 3 rules do not hold") && both.contains("and 1 could not"));
        let odd = CheckTenantResponse { holds: false, ..proof(&[True]) };
        assert!(verdict("tenants/acme", &odd).is_err());
    }
}
