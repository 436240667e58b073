//! What our annotations say.

use std::collections::BTreeMap;

use super::{ANNOTATIONS, annotation, tree::Node};
use crate::{
    slo::{BudgetAction, BudgetStep, BurnRule, CreditStep, Severity},
    text,
    violation::Violations,
};

/// Our annotations by the rest of their names, with their paths.
pub(super) type Ours<'a> = BTreeMap<&'a str, (String, &'a str)>;

pub(super) fn annotations<'a>(metadata: &Node<'a>, faults: &mut Violations) -> Ours<'a> {
    let mut ours = BTreeMap::new();
    let Some(all) = metadata.get("annotations") else { return ours };
    let Some(map) = all.value.as_object() else {
        faults.add(all.path, "must be a map");
        return ours;
    };
    for (key, value) in map {
        let Some(name) = key.strip_prefix(ANNOTATIONS) else { continue };
        let path = format!("{}.{}", all.path, text::excerpt(key));
        if !annotation::ALL.contains(&name) {
            faults.add(path, format!("is not known; what is: {}", annotation::ALL.join(", ")));
        } else if let Some(value) = value.as_str() {
            ours.insert(name, (path, value));
        } else {
            faults.add(path, "must be a text: write it in quotation marks");
        }
    }
    ours
}

pub(super) fn number(ours: &Ours<'_>, name: &str, faults: &mut Violations) -> u64 {
    let Some((path, value)) = ours.get(name) else { return 0 };
    let read = value.parse().map_err(|_| "must be a whole number");
    faults.check(path, read).unwrap_or_default()
}

/// The parts of an annotation, between commas.
pub(super) fn each<T>(
    ours: &Ours<'_>,
    name: &str,
    faults: &mut Violations,
    read: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let Some((path, value)) = ours.get(name) else { return Vec::new() };
    let mut all = Vec::new();
    for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match read(part) {
            Some(one) => all.push(one),
            None => faults.add(
                path,
                format!(
                    "`{}` cannot be read: write for example {}",
                    text::excerpt(part),
                    match name {
                        annotation::RULES => "page:1h/5m@14.4",
                        annotation::POLICY => "80=notify",
                        _ => "99.0=10",
                    }
                ),
            ),
        }
    }
    all
}

/// `page:1h/5m@14.4`.
pub(super) fn rule(text: &str) -> Option<BurnRule> {
    let (severity, rest) = text.split_once(':')?;
    let (windows, factor) = rest.split_once('@')?;
    let (long, short) = windows.split_once('/')?;
    let (whole, part) = factor.split_once('.').unwrap_or((factor, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() > 3 || !digits(part) || !digits(whole) || whole.len() > 9 {
        return None;
    }
    let milli = format!("{whole}{part:0<3}").parse().ok()?;
    Some(BurnRule {
        severity: Severity::parse(severity)?,
        long: minutes(long)?,
        short: minutes(short)?,
        factor_milli: milli,
    })
}

fn minutes(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let scale = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 1_440,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(scale)
}

pub(super) fn step(text: &str) -> Option<BudgetStep> {
    let (percent, action) = text.split_once('=')?;
    Some(BudgetStep { used_percent: percent.parse().ok()?, action: BudgetAction::parse(action)? })
}

pub(super) fn credit(text: &str) -> Option<CreditStep> {
    let (below, percent) = text.split_once('=')?;
    Some(CreditStep { below: below.parse().ok()?, percent: percent.parse().ok()? })
}
