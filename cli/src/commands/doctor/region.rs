//! The way from this machine to one region's daemon, step by step. A step whose ground
//! failed is skipped and says so; the others go on.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use streamspace_client::{
    ClientError, ConnectFault, Connection, Context,
    credentials::{Credential, Identity, Validity},
    probe::{Greeting, ServerCertificate, greet, reach, resolve},
};
use streamspace_proto::v1::{GetRegionRequest, Health, Region, WhoAmIRequest, WhoAmIResponse};
use tonic::{Response, Status, metadata::MetadataMap};

use super::check::Check;
use crate::{
    commands::whoami,
    resource::{call, short, word},
    shell::Shell,
    skew,
    time::{local, remaining},
};

/// How long the credential store may take; a keyring can wait for its owner.
const STORE_PATIENCE: Duration = Duration::from_secs(15);
/// A device certificate that ends sooner is told.
const DEVICE_SOON: Duration = Duration::from_hours(7 * 24);
/// A daemon renews its certificate long before; one that ends sooner was not renewed.
const SERVER_SOON: Duration = Duration::from_hours(48);
/// Clocks that differ by more than this are told.
const CLOCK_WARNING: Duration = Duration::from_secs(5);
/// Clocks that differ by more than this make certificates look over, or not begun.
const CLOCK_FAILED: Duration = Duration::from_mins(5);
/// An answer that takes longer is told.
const LATENCY_WARNING: Duration = Duration::from_millis(500);
/// So many calls are timed.
const CALLS: usize = 3;

/// Looks at everything on the way to the daemon of a context.
pub(super) async fn look(shell: &Shell, context: &Context) -> Vec<Check> {
    let mut checks = vec![described(context)];
    let credential = credential(context, &mut checks).await;
    let client = credential.as_ref().map(|credential| &credential.client);
    way(shell, context, client, &mut checks).await;
    if credential.is_some() {
        daemon(shell, context, &mut checks).await;
    } else {
        for name in ["answer", "version", "clock", "latency", "region"] {
            checks.push(Check::skipped(name, "without keys the daemon answers nothing"));
        }
    }
    checks.into_iter().map(|check| check.of(&context.name)).collect()
}

fn described(context: &Context) -> Check {
    let region = match context.region.as_str() {
        "" => String::new(),
        region => format!(", region {region}"),
    };
    let protected = if context.protected { ", protected" } else { "" };
    Check::ok("context", format!("{}{region}{protected}", context.endpoint))
}

/// The keys and what they are good for.
async fn credential(context: &Context, checks: &mut Vec<Check>) -> Option<Credential> {
    let reference = context.credential.clone();
    let loading = tokio::task::spawn_blocking(move || Credential::load(&reference));
    let place = &context.credential;
    match tokio::time::timeout(STORE_PATIENCE, loading).await {
        Ok(Ok(Ok(credential))) => {
            checks.push(Check::ok("keys", place.to_string()));
            checks.extend(certificates(&credential, Timestamp::now()));
            return Some(credential);
        }
        Ok(Ok(Err(error))) => checks.push(Check::error("keys", &ClientError::from(error))),
        Ok(Err(error)) => checks.push(Check::failed("keys", error.to_string(), "try again")),
        Err(_) => checks.push(Check::failed(
            "keys",
            format!("{place} does not answer within {} s", STORE_PATIENCE.as_secs()),
            "unlock the keyring, or log in again with SSCTL_CREDENTIAL_STORE=file",
        )),
    }
    checks.push(Check::skipped("certificate", "there are no keys to look at"));
    None
}

const LOG_IN_AGAIN: &str =
    "ask an administrator for a token and run `ssctl login HOST --token TOKEN`";

fn certificates(credential: &Credential, now: Timestamp) -> Vec<Check> {
    let mut checks = vec![client_certificate(credential, now)];
    if let Some(device) = &credential.device {
        checks.push(device_certificate(device.validity(), now));
    }
    checks
}

fn client_certificate(credential: &Credential, now: Timestamp) -> Check {
    const NAME: &str = "certificate";
    let validity = credential.client.validity();
    let renews = credential.device.as_ref().is_some_and(|device| !device.validity().is_over(now));
    match (validity.is_over(now), renews) {
        _ if validity.from > now => Check::failed(
            NAME,
            format!("it begins only {}", ends(validity.from, now)),
            "this machine's clock is behind: set it right",
        ),
        (false, _) => Check::ok(NAME, format!("good until {}", ends(validity.until, now))),
        (true, true) => {
            Check::ok(NAME, format!("ended {}; the next call renews it", ends(validity.until, now)))
        }
        (true, false) if credential.device.is_none() => Check::failed(
            NAME,
            format!("ended {}", ends(validity.until, now)),
            "whoever made the files of SSCTL_CLIENT_CERT and SSCTL_CLIENT_KEY makes new ones",
        ),
        (true, false) => {
            Check::failed(NAME, format!("ended {}", ends(validity.until, now)), LOG_IN_AGAIN)
        }
    }
}

fn device_certificate(validity: Validity, now: Timestamp) -> Check {
    const NAME: &str = "device";
    let until = ends(validity.until, now);
    let soon = now.checked_add(DEVICE_SOON).unwrap_or(Timestamp::MAX);
    if validity.is_over(now) {
        Check::failed(NAME, format!("the login ended {until}"), LOG_IN_AGAIN)
    } else if validity.until < soon {
        Check::warning(NAME, format!("the login ends {until}"), LOG_IN_AGAIN)
    } else {
        Check::ok(NAME, format!("logged in until {until}"))
    }
}

/// An instant with how far it is.
fn ends(instant: Timestamp, now: Timestamp) -> String {
    let time = prost_types::Timestamp { seconds: instant.as_second(), nanos: 0 };
    let left = remaining(Some(&time), now);
    if left == "over" {
        return local(Some(&time));
    }
    format!("{} (in {left})", local(Some(&time)))
}

/// Name, address, handshake.
async fn way(shell: &Shell, context: &Context, client: Option<&Identity>, checks: &mut Vec<Check>) {
    let patience = shell.options().connect_timeout;
    let address = &context.endpoint;
    let fault = |name: &str, fault: &ConnectFault| {
        let error = ClientError::Connect { address: address.clone(), fault: fault.clone() };
        Check::failed(name, fault.to_string(), error.next_step().unwrap_or_default())
    };
    let begin = Instant::now();
    let addresses = match resolve(address, patience).await {
        Ok(addresses) => addresses,
        Err(error) => {
            checks.push(fault("name", &error));
            checks.push(Check::skipped("connection", "the name has no address"));
            checks.push(Check::skipped("tls", "there is no connection"));
            return;
        }
    };
    let found = addresses.iter().map(|found| found.ip().to_string()).collect::<Vec<_>>().join(", ");
    checks.push(match address.host().parse::<std::net::IpAddr>() {
        Ok(_) => Check::ok("name", format!("{} is an address already", address.host())),
        Err(_) => Check::ok("name", format!("{found} ({})", took(begin))),
    });
    let begin = Instant::now();
    let stream = match reach(&addresses, patience).await {
        Ok(stream) => stream,
        Err(error) => {
            checks.push(fault("connection", &error));
            checks.push(Check::skipped("tls", "there is no connection"));
            return;
        }
    };
    let peer = stream.peer_addr().map_or_else(|_| address.to_string(), |peer| peer.to_string());
    checks.push(Check::ok("connection", format!("{peer} takes connections ({})", took(begin))));
    let begin = Instant::now();
    let greeting = greet(stream, context, client, patience).await;
    checks.push(match &greeting.fault {
        Some(error) => {
            let mut check = fault("tls", error);
            if let Some(shown) = &greeting.certificate {
                check.message = format!("{}\n{}", check.message, shown_words(shown));
            }
            check
        }
        None => greeted(&greeting, &took(begin), Timestamp::now()),
    });
}

/// What whoever answered showed.
fn shown_words(shown: &ServerCertificate) -> String {
    let time = |instant: Timestamp| {
        local(Some(&prost_types::Timestamp { seconds: instant.as_second(), nanos: 0 }))
    };
    format!(
        "it showed a certificate for {}, signed by {}, good from {} to {}",
        if shown.names.is_empty() { "no name".into() } else { shown.names.join(", ") },
        shown.issuer,
        time(shown.validity.from),
        time(shown.validity.until),
    )
}

fn greeted(greeting: &Greeting, took: &str, now: Timestamp) -> Check {
    let Some(shown) = &greeting.certificate else {
        return Check::ok("tls", format!("the handshake is done ({took})"));
    };
    let until = ends(shown.validity.until, now);
    let message = format!("signed by {}, good until {until} ({took})", shown.issuer);
    let soon = now.checked_add(SERVER_SOON).unwrap_or(Timestamp::MAX);
    if shown.validity.until < soon {
        return Check::warning(
            "tls",
            format!("{message}: the daemon should have renewed it"),
            "look into the daemon's log for the renewal of its certificate",
        );
    }
    Check::ok("tls", message)
}

/// What the daemon itself answers.
async fn daemon(shell: &Shell, context: &Context, checks: &mut Vec<Check>) {
    let skipped = |checks: &mut Vec<Check>, names: &[&str], why: &str| {
        checks.extend(names.iter().map(|name| Check::skipped(*name, why)));
    };
    let no_answer = "the daemon did not answer";
    let connection = match Connection::open(context, &shell.options()) {
        Ok(connection) => connection,
        Err(error) => {
            checks.push(Check::error("answer", &error));
            return skipped(checks, &["version", "clock", "latency", "region"], no_answer);
        }
    };
    let asked = match ask(&connection).await {
        Ok(asked) => asked,
        Err(status) => {
            // Who refuses tells its time as well.
            let clock = clock(status.metadata(), Timestamp::now());
            checks.push(Check::error("answer", &ClientError::from(status)));
            skipped(checks, &["version"], no_answer);
            match clock {
                Some(clock) => checks.push(clock),
                None => skipped(checks, &["clock"], no_answer),
            }
            return skipped(checks, &["latency", "region"], no_answer);
        }
    };
    checks.push(answered(context, asked.get_ref()));
    let request = GetRegionRequest { name: "regions/-".into() };
    let region = call!(&connection, regions.get_region(request));
    let told = region.as_ref().map(|region| region.daemon_version.as_str()).unwrap_or_default();
    checks.push(version(&context.name, connection.daemon_version().unwrap_or(told)));
    checks.push(match clock(asked.metadata(), Timestamp::now()) {
        Some(clock) => clock,
        None => Check::skipped("clock", "the answer tells no time"),
    });
    checks.push(latency(&connection).await);
    match region {
        Ok(region) => checks.extend(components(&region)),
        Err(error) => checks.push(Check::error("region", &error)),
    }
}

async fn ask(connection: &Connection) -> Result<Response<WhoAmIResponse>, Status> {
    connection.access().who_am_i(WhoAmIRequest {}).await
}

fn answered(context: &Context, who: &WhoAmIResponse) -> Check {
    const NAME: &str = "answer";
    let region = short("regions/", &who.region);
    let reach = whoami::reach(&who.tenants);
    let message = format!("region {region}: you are {} ({}, {reach})", who.operator, who.role_name);
    if !context.region.is_empty() && context.region != region {
        return Check::failed(
            NAME,
            format!("{message}, but the context is for region {}", context.region),
            "check the address with `ssctl context show`; log in to this region for a context of \
             its own",
        );
    }
    Check::ok(NAME, message)
}

fn version(context: &str, daemon: &str) -> Check {
    const NAME: &str = "version";
    let own = env!("CARGO_PKG_VERSION");
    if daemon.is_empty() {
        return Check::ok(NAME, format!("ssctl {own}; the daemon does not tell its own"));
    }
    match skew::warnings(own, [(context, daemon)]).into_iter().next() {
        Some(warning) => {
            Check::warning(NAME, format!("ssctl {own}, daemon {daemon}"), plain(&warning))
        }
        None => Check::ok(NAME, format!("ssctl {own}, daemon {daemon}")),
    }
}

/// A warning as a sentence in a line of ours.
fn plain(warning: &str) -> String {
    let words = warning.split_whitespace().collect::<Vec<_>>().join(" ");
    words.strip_prefix("warning: ").map_or(words.clone(), str::to_owned)
}

/// The daemon's clock, which it tells in whole seconds, against this machine's.
fn clock(metadata: &MetadataMap, now: Timestamp) -> Option<Check> {
    let told = metadata.get("date")?.to_str().ok()?;
    let told = jiff::fmt::rfc2822::parse(told).ok()?.timestamp();
    Some(judged(told, now))
}

fn judged(told: Timestamp, now: Timestamp) -> Check {
    const NAME: &str = "clock";
    let ahead = now.as_second().saturating_sub(told.as_second());
    let apart = Duration::from_secs(ahead.unsigned_abs());
    let words = format!(
        "this machine is {} {} of the daemon",
        brief(apart),
        if ahead > 0 { "ahead" } else { "behind" }
    );
    let next =
        "set the clock of the one that is wrong: `timedatectl` tells whether this one is kept";
    if apart >= CLOCK_FAILED {
        let words = format!("{words}: certificates look over, or not begun");
        return Check::failed(NAME, words, next);
    }
    if apart > CLOCK_WARNING {
        return Check::warning(NAME, words, next);
    }
    Check::ok(NAME, "this machine and the daemon agree to within 5 s")
}

fn brief(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

/// The median of some calls over the connection that is there.
async fn latency(connection: &Connection) -> Check {
    const NAME: &str = "latency";
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begin = Instant::now();
        match ask(connection).await {
            Ok(_) => times.push(begin.elapsed()),
            Err(status) => return Check::error(NAME, &ClientError::from(status)),
        }
    }
    times.sort_unstable();
    let middle = times.get(CALLS / 2).copied().unwrap_or_default();
    let message = format!("an answer takes {}", milliseconds(middle));
    if middle > LATENCY_WARNING {
        let next = "the network between, or the region, is slow: compare with `ping`, and look at \
                    `ssctl region show`";
        return Check::warning(NAME, message, next);
    }
    Check::ok(NAME, message)
}

fn components(region: &Region) -> Vec<Check> {
    let name = short("regions/", &region.name);
    let ill: Vec<Check> = region
        .components
        .iter()
        .filter(|component| component.health() != Health::Ok)
        .map(|component| {
            let place = format!("region {}", component.name);
            let health = word("HEALTH_", component.health().as_str_name());
            let message = format!("{health}: {}", component.message);
            let next = "`ssctl region show` tells more; the daemon's log has the details";
            match component.health() {
                Health::Unavailable => Check::failed(place, message, next),
                _ => Check::warning(place, message, next),
            }
        })
        .collect();
    if ill.is_empty() {
        let all = region.components.len();
        return vec![Check::ok("region", format!("{name}: all {all} parts are well"))];
    }
    ill
}

fn took(begin: Instant) -> String {
    milliseconds(begin.elapsed())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::Component;

    use super::super::check::State;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + seconds).unwrap()
    }

    #[test]
    fn clocks_are_compared() {
        for (ahead, state, words) in [
            (0, State::Ok, "agree"),
            (-5, State::Ok, "agree"),
            (6, State::Warning, "6 s ahead"),
            (-90, State::Warning, "90 s behind"),
            (300, State::Failed, "5 min ahead"),
            (-86_400, State::Failed, "1440 min behind"),
        ] {
            let check = judged(at(0), at(ahead));
            assert_eq!(check.state, state, "{check:?}");
            assert!(check.message.contains(words), "{check:?}");
        }
        let mut metadata = MetadataMap::new();
        assert_eq!(clock(&metadata, at(0)), None);
        metadata.insert("date", "Sun, 09 Sep 2001 01:46:40 GMT".parse().unwrap());
        assert_eq!(clock(&metadata, at(0)).unwrap().state, State::Ok);
        metadata.insert("date", "yesterday".parse().unwrap());
        assert_eq!(clock(&metadata, at(0)), None);
    }

    #[test]
    fn a_login_that_ends_soon_is_told() {
        let day = 86_400;
        for (left, state) in [(30, State::Ok), (3, State::Warning), (-1, State::Failed)] {
            let validity = Validity { from: at(-90 * day), until: at(left * day) };
            let check = device_certificate(validity, at(0));
            assert_eq!(check.state, state, "{check:?}");
            assert_eq!(check.next.is_empty(), state == State::Ok);
        }
    }

    #[test]
    fn parts_that_are_ill_have_their_own_lines() {
        let part = |name: &str, health: Health| Component {
            name: name.into(),
            health: health.into(),
            message: "words".into(),
            ..Component::default()
        };
        let mut region = Region {
            name: "regions/r".into(),
            components: vec![part("database", Health::Ok), part("cluster", Health::Ok)],
            ..Region::default()
        };
        assert_eq!(components(&region).len(), 1);
        region.components.push(part("leader", Health::Unavailable));
        region.components.push(part("audit-log", Health::Degraded));
        let checks = components(&region);
        let states: Vec<_> =
            checks.iter().map(|check| (check.name.as_str(), check.state)).collect();
        assert_eq!(
            states,
            [("region leader", State::Failed), ("region audit-log", State::Warning)]
        );
    }

    #[test]
    fn a_daemon_that_is_too_far_away_is_told() {
        assert_eq!(version("dev", env!("CARGO_PKG_VERSION")).state, State::Ok);
        assert_eq!(version("dev", "").state, State::Ok);
        let check = version("dev", "7.0.0");
        assert_eq!(check.state, State::Warning);
        assert_ne!(check.next, "");
    }

    #[test]
    fn the_region_must_be_the_contexts() {
        let context = Context {
            name: "eu".into(),
            endpoint: "localhost:1".parse().unwrap(),
            region: "eu-west-1".into(),
            authorities: Vec::new(),
            credential: streamspace_client::context::CredentialReference::File { path: "k".into() },
            protected: false,
        };
        let who = |region: &str| WhoAmIResponse {
            operator: "ada".into(),
            role_name: "viewer".into(),
            region: region.into(),
            ..WhoAmIResponse::default()
        };
        assert_eq!(answered(&context, &who("regions/eu-west-1")).state, State::Ok);
        assert_eq!(answered(&context, &who("regions/us-east-1")).state, State::Failed);
    }
}
