//! Which time usage is told of, and in which zone its days and months are cut.

use clap::Args;
use jiff::{Timestamp, ToSpan as _, Unit, Zoned, tz::TimeZone};

use crate::{
    errors::{Failure, Outcome},
    time::{month_bounds, parse_duration, when},
};

/// Flags of everything that tells of a time.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Time")]
pub(crate) struct PeriodArgs {
    /// A whole month, as 2026-11; the current one where no time is given
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["since", "until"])]
    pub(super) month: Option<String>,
    /// From when on: 12h, 7d, 2026-11-01, 2026-11-01T12:00 or with an offset
    ///
    /// 12h and 7d are so long ago, taken to whole hours. A date is one of --zone. --until is not
    /// included: --since 2026-11-01 --until 2026-11-02 is one day.
    #[arg(long, visible_alias = "from", value_name = "TIME")]
    since: Option<String>,
    /// Until before when, written as --since; now without it
    #[arg(long, visible_alias = "to", value_name = "TIME", requires = "since")]
    until: Option<String>,
    /// The zone that months and days are cut in, as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", hide_default_value = true)]
    zone: String,
}

/// A time with the zone that it is told in.
#[derive(Clone, Debug)]
pub(super) struct Period {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) zone: TimeZone,
    /// What was typed.
    pub(super) zone_name: String,
}

impl PeriodArgs {
    /// The period that the flags name.
    pub(super) fn resolve(&self, now: Timestamp) -> Outcome<Period> {
        let zone = zone(&self.zone)?;
        let (start, end) = match &self.since {
            None => {
                let month = match &self.month {
                    Some(month) => month.clone(),
                    None => now.to_zoned(zone.clone()).strftime("%Y-%m").to_string(),
                };
                bounds(&month, &zone)?
            }
            Some(since) => {
                let end = match &self.until {
                    Some(until) => instant("--until", until, now, &zone, Rounding::Up)?,
                    None => whole_hour(now, Rounding::Up),
                };
                (instant("--since", since, now, &zone, Rounding::Down)?, end)
            }
        };
        if start >= end {
            return Err(Failure::Usage {
                message: format!("--since {start} is not before --until {end}"),
                next: "give the earlier time with --since".into(),
            });
        }
        Ok(Period { start, end, zone, zone_name: self.zone.clone() })
    }
}

/// Both instants of a month of the zone.
pub(super) fn bounds(month: &str, zone: &TimeZone) -> Outcome<(Timestamp, Timestamp)> {
    month_bounds(month, zone).map_err(|message| Failure::Usage {
        message,
        next: "write the year and the month, as in 2026-11".into(),
    })
}

/// A zone by its IANA name.
pub(super) fn zone(name: &str) -> Outcome<TimeZone> {
    TimeZone::get(name).map_err(|_| Failure::Usage {
        message: format!("{name:?} is no time zone"),
        next: "write a name of the IANA list, as UTC, Europe/Berlin or America/New_York".into(),
    })
}

#[derive(Clone, Copy, Debug)]
enum Rounding {
    Up,
    Down,
}

fn instant(
    flag: &str,
    text: &str,
    now: Timestamp,
    zone: &TimeZone,
    rounding: Rounding,
) -> Outcome<Timestamp> {
    let time = when(text, now, zone)
        .map_err(|message| Failure::Usage { message, next: format!("write {flag} so") })?;
    // So long ago is hardly ever a whole hour, and nobody means the minutes.
    Ok(if parse_duration(text).is_ok() { whole_hour(time, rounding) } else { time })
}

fn whole_hour(time: Timestamp, rounding: Rounding) -> Timestamp {
    let over = time.as_second().rem_euclid(3600);
    let down = time.as_second() - over;
    let whole = match rounding {
        Rounding::Up if over > 0 || time.subsec_nanosecond() > 0 => down + 3600,
        Rounding::Up | Rounding::Down => down,
    };
    Timestamp::from_second(whole).unwrap_or(time)
}

/// A day of the zone: its first instant, and the first of the next.
pub(super) fn day(text: &str, zone: &TimeZone) -> Outcome<(Timestamp, Timestamp)> {
    let wrong = || Failure::Usage {
        message: format!("{text:?} is no day"),
        next: "write 2026-11-29".into(),
    };
    let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    let next = date.checked_add(1.day()).map_err(|_| wrong())?;
    let begin = |date: jiff::civil::Date| date.to_zoned(zone.clone()).map(|day| day.timestamp());
    Ok((begin(date).map_err(|_| wrong())?, begin(next).map_err(|_| wrong())?))
}

/// The first instant of the day of UTC after this one.
pub(super) fn tomorrow(now: Timestamp) -> Timestamp {
    let second = now.as_second() - now.as_second().rem_euclid(86_400) + 86_400;
    Timestamp::from_second(second).unwrap_or(now)
}

impl Period {
    /// The period in a line: `2026-11-01 00:00 to 2026-12-01 00:00 UTC (720 hours)`.
    pub(super) fn told(&self) -> String {
        let hours = self.end.as_second().saturating_sub(self.start.as_second()) / 3600;
        format!(
            "{} to {} {} ({hours} hours)",
            self.minute(self.start),
            self.minute(self.end),
            self.zone_name
        )
    }

    /// An instant in the period's zone, to the minute.
    pub(super) fn minute(&self, time: Timestamp) -> String {
        self.zoned(time).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// An instant in the period's zone, to the second.
    pub(super) fn second(&self, time: Timestamp) -> String {
        self.zoned(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The day in the period's zone.
    pub(super) fn day(&self, time: Timestamp) -> String {
        self.zoned(time).strftime("%Y-%m-%d").to_string()
    }

    fn zoned(&self, time: Timestamp) -> Zoned {
        let zoned = time.to_zoned(self.zone.clone());
        zoned.round(Unit::Second).unwrap_or(zoned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-29T06:20:30Z".parse().unwrap()
    }

    fn resolved(args: &PeriodArgs) -> (String, String) {
        let period = args.resolve(now()).unwrap();
        (period.start.to_string(), period.end.to_string())
    }

    fn args(zone: &str) -> PeriodArgs {
        PeriodArgs { zone: zone.into(), ..PeriodArgs::default() }
    }

    #[test]
    fn months_are_cut_in_the_zone_and_days_of_an_hour_more_are_told() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let utc = resolved(&args("UTC"));
        assert_eq!(utc, pair("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"));
        let october = PeriodArgs { month: Some("2026-10".into()), ..args("Europe/Berlin") };
        assert_eq!(resolved(&october), pair("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"));
        let told = october.resolve(now()).unwrap().told();
        assert_eq!(told, "2026-10-01 00:00 to 2026-11-01 00:00 Europe/Berlin (745 hours)");
    }

    #[test]
    fn so_long_ago_is_taken_to_whole_hours_and_what_is_exact_is_left() {
        let since = |since: &str, until: Option<&str>| PeriodArgs {
            since: Some(since.into()),
            until: until.map(str::to_owned),
            ..args("UTC")
        };
        let ago = resolved(&since("12h", None));
        assert_eq!(ago, ("2026-11-28T18:00:00Z".into(), "2026-11-29T07:00:00Z".into()));
        let exact = resolved(&since("2026-11-01T12:30", Some("2026-11-02")));
        assert_eq!(exact, ("2026-11-01T12:30:00Z".into(), "2026-11-02T00:00:00Z".into()));
        let backward = since("2026-11-02", Some("2026-11-01")).resolve(now());
        assert_eq!(backward.unwrap_err().exit() as u8, 2);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let month = PeriodArgs { month: Some("november".into()), ..args("UTC") };
        assert_eq!(month.resolve(now()).unwrap_err().exit() as u8, 2);
        assert_eq!(args("Mars/Olympus").resolve(now()).unwrap_err().exit() as u8, 2);
        assert!(day("yesterday", &TimeZone::UTC).is_err());
        assert_eq!(tomorrow(now()).to_string(), "2026-11-30T00:00:00Z");
    }
}
