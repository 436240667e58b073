//! `ssctl slo push` and `ssctl slo exclude`: what counts in budgets.

use std::io::{self, Read as _};

use jiff::Timestamp;
use serde_json::Value;
use streamspace_proto::{
    json::{from_value, to_value},
    v1::{
        ExcludeTimeRequest, ExcludeTimeResponse, PushSamplesRequest, PushSamplesResponse,
        PushedSample, Slo, Tenant,
    },
};

use super::tenant_name;
use crate::{
    change::{ChangeArgs, Reply, approvable, reason, request_id, show},
    errors::{Doing as _, Failure, Outcome},
    output::print_answer,
    resource::{call, full_name},
    shell::Shell,
    time::{parse_when, proto_instant},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl slo push checkout --minute 2026-11-30T10:05:00Z --total 1200 --bad 3
  ssctl slo push checkout < counts.jsonl

A line of counts.jsonl: {\"minute\":\"2026-11-30T10:05:00Z\",\"total\":1200,\"bad\":3}, and
\"tenant\":\"acme\" where the SLO has a budget for each.";

/// So many samples go in a call.
const BATCH: usize = 1000;
/// So much is read from standard input.
const LONGEST_INPUT: u64 = 16 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// The SLO
    name: String,
    /// When the minute began; without it lines of JSON are read from standard input
    #[arg(long, value_parser = parse_when, value_name = "TIME", requires = "total")]
    minute: Option<Timestamp>,
    /// All events
    #[arg(long, value_name = "NUMBER", requires = "minute")]
    total: Option<i64>,
    /// The bad ones
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "minute",
        default_value_t = 0,
        hide_default_value = true
    )]
    bad: i64,
    /// The tenant whose events they are
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExcludeArgs {
    /// The SLOs
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All SLOs
    #[arg(long)]
    all: bool,
    /// The budgets of this tenant alone; repeated for more
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    /// From when on, to the minute: 2h, 2026-05-01T12:00
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    from: Timestamp,
    /// Until when, to the minute
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    to: Timestamp,
    /// Take it back in
    #[arg(long)]
    include: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Reply for PushSamplesResponse {}
impl Reply for ExcludeTimeResponse {}

/// The whole minute that an instant is in, as the contract writes it.
fn minute(instant: Timestamp) -> prost_types::Timestamp {
    let mut minute = proto_instant(instant);
    minute.seconds -= minute.seconds.rem_euclid(60);
    minute.nanos = 0;
    minute
}

pub(super) async fn push(shell: &Shell, args: &PushArgs) -> Outcome {
    const METHOD: &str = "SloService.PushSamples";
    let name = full_name::<Slo>(&args.name);
    let tenant = tenant_name(args.tenant.as_deref());
    let samples = match args.minute {
        Some(at) => vec![PushedSample {
            tenant,
            minute: Some(minute(at)),
            total: args.total.unwrap_or_default(),
            bad: args.bad,
        }],
        None if shell.terminal.input => {
            return Err(Failure::Usage {
                message: "there is nothing to push".into(),
                next: "give --minute TIME --total NUMBER --bad NUMBER, or lines of JSON on \
                       standard input"
                    .into(),
            });
        }
        None => read(&text()?, &tenant)?,
    };
    let reason = if args.change.dry_run {
        args.change.reason()
    } else {
        reason(shell, METHOD, args.change.given_reason()).await?
    };
    let connection = shell.connect()?;
    let mut taken = 0_i64;
    let mut last = PushSamplesResponse::default();
    for batch in samples.chunks(BATCH) {
        let request = PushSamplesRequest {
            slo: name.clone(),
            samples: batch.to_vec(),
            request_id: request_id(),
            validate_only: args.change.dry_run,
            reason: reason.clone(),
        };
        // What went before is kept, and may be pushed again: the last counts of a minute stay.
        last = call!(&connection, slos.push_samples(request))
            .map_err(|error| approvable(error, METHOD))
            .doing(|| format!("push to {name} after {taken} samples that were taken"))?;
        taken = taken.saturating_add(last.taken.into());
    }
    if args.change.dry_run {
        let effect = format!("{taken} samples would be taken");
        return Err(show(shell, &name, &Value::Null, &Value::Null, &effect, &last)?);
    }
    shell.talk(&format!("{taken} samples taken for {name}"));
    print_answer(shell, &[("Taken", taken.into())], &serde_json::json!({ "taken": taken }))
}

fn text() -> Outcome<String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LONGEST_INPUT + 1).read_to_string(&mut text);
    let failed = |message: String| Failure::Usage {
        message,
        next: "write a JSON object a line, as `ssctl slo push --help` shows".into(),
    };
    let size = read.map_err(|error| failed(format!("standard input cannot be read: {error}")))?;
    if u64::try_from(size).unwrap_or(u64::MAX) > LONGEST_INPUT {
        return Err(failed("standard input is longer than 16 MiB".into()));
    }
    Ok(text)
}

/// Samples of lines of JSON; `tenant` is of those that name none.
fn read(text: &str, tenant: &str) -> Outcome<Vec<PushedSample>> {
    let mut samples = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| Failure::Usage {
            message: format!("line {}: {why}", at + 1),
            next: "write {\"minute\":\"2026-11-30T10:05:00Z\",\"total\":1200,\"bad\":3}".into(),
        };
        let value: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let mut sample: PushedSample =
            from_value(&value).map_err(|error| wrong(error.to_string()))?;
        if sample.minute.is_none() {
            return Err(wrong("it has no minute".into()));
        }
        sample.tenant = match sample.tenant.as_str() {
            "" => tenant.to_owned(),
            named => full_name::<Tenant>(named),
        };
        samples.push(sample);
    }
    if samples.is_empty() {
        return Err(Failure::Usage {
            message: "standard input has no counts".into(),
            next: "write a JSON object a line, as `ssctl slo push --help` shows".into(),
        });
    }
    Ok(samples)
}

pub(super) async fn exclude(shell: &Shell, args: &ExcludeArgs) -> Outcome {
    const METHOD: &str = "SloService.ExcludeTime";
    let (from, to) = (minute(args.from), minute(args.to));
    if from.seconds >= to.seconds {
        return Err(Failure::Usage {
            message: "--from is not a minute or more before --to".into(),
            next: "give the earlier time with --from".into(),
        });
    }
    let reason = if args.change.dry_run {
        args.change.reason()
    } else {
        reason(shell, METHOD, args.change.given_reason()).await?
    };
    let request = ExcludeTimeRequest {
        slos: args.names.iter().map(|name| full_name::<Slo>(name)).collect(),
        tenants: args.tenants.iter().map(|name| full_name::<Tenant>(name)).collect(),
        start_time: Some(from),
        end_time: Some(to),
        include: args.include,
        validate_only: args.change.dry_run,
        request_id: request_id(),
        reason,
    };
    let what = if args.all { "all SLOs".to_owned() } else { request.slos.join(", ") };
    let verb = if args.include { "include" } else { "exclude" };
    let connection = shell.connect()?;
    let reply = call!(&connection, slos.exclude_time(request))
        .map_err(|error| approvable(error, METHOD))
        .doing(|| format!("{verb} a time of {what}"))?;
    let counts = format!(
        "{} minutes of {} budgets, with {} bad events",
        reply.minutes, reply.budgets, reply.bad
    );
    if args.change.dry_run {
        let effect = format!("would {verb} {counts}");
        return Err(show(shell, &what, &Value::Null, &Value::Null, &effect, &reply)?);
    }
    shell.talk(&format!("{verb}d {counts}"));
    let pairs = [
        ("Budgets", reply.budgets.into()),
        ("Minutes", reply.minutes.into()),
        ("Bad events", reply.bad.into()),
    ];
    print_answer(shell, &pairs, &to_value(&reply)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_a_wrong_one_is_named() {
        let text = "{\"minute\":\"2026-11-30T10:05:00Z\",\"total\":12,\"bad\":\"3\"}\n\n\
                    {\"minute\":\"2026-11-30T10:06:00Z\",\"tenant\":\"acme\"}\n";
        let samples = read(text, "tenants/beta").unwrap();
        assert_eq!((samples[0].total, samples[0].bad), (12, 3));
        assert_eq!(samples[0].tenant, "tenants/beta");
        assert_eq!(samples[1].tenant, "tenants/acme");
        for (text, line) in [
            ("{}", "line 1: it has no minute"),
            ("\n{", "line 2: "),
            ("{\"minutes\":1}", "line 1: "),
            ("", "standard input has no counts"),
        ] {
            let Failure::Usage { message, .. } = read(text, "").unwrap_err() else { panic!() };
            assert!(message.starts_with(line), "{message}");
        }
    }

    #[test]
    fn a_minute_is_whole() {
        let at: Timestamp = "2026-11-30T10:05:59.9Z".parse().unwrap();
        let whole: Timestamp = "2026-11-30T10:05:00Z".parse().unwrap();
        assert_eq!(minute(at), proto_instant(whole));
    }
}
