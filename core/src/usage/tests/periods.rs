//! Billing periods.

use jiff::tz::TimeZone;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

#[test]
fn a_month_over_a_change_of_the_clocks() {
    let new_york = zone("America/New_York");
    let hours = |text| parts(month(text).cut(&new_york).unwrap()).hour_count();
    assert_eq!((hours("2026-03"), hours("2026-11"), hours("2026-10")), (743, 721, 744));
    let november = month("2026-11").cut(&new_york).unwrap();
    assert_eq!(november.from, instant("2026-11-01T04:00:00Z"));
    assert_eq!(november.to, instant("2026-12-01T05:00:00Z"));
    let utc = parts(month("2026-02").cut(&TimeZone::UTC).unwrap());
    assert_eq!((utc.hour_count(), utc.before.len(), utc.after.len()), (672, 0, 0));
}

#[test]
fn months_leave_nothing_out_and_share_nothing() {
    // A quarter of an hour off, clocks that change at midnight of a first, and others.
    let names = ["Asia/Kathmandu", "America/Asuncion", "Asia/Kolkata", "Pacific/Apia", "UTC"];
    for name in names {
        let mut one = month("2010-12");
        let mut end = one.cut(&zone(name)).unwrap().to;
        while one < month("2027-01") {
            one = one.next().unwrap();
            let span = one.cut(&zone(name)).unwrap();
            assert_eq!(span.from, end, "{one} in {name}");
            end = span.to;
            let Parts { before, hours, after } = parts(span);
            let edges = before.iter().chain(&after).map(|bucket| bucket.span().seconds());
            let seconds = edges.sum::<i64>() + hours.seconds();
            assert_eq!(seconds, span.seconds(), "{one} in {name}");
            assert!(before.len() < 12 && after.len() < 12);
        }
    }
    let kathmandu = parts(month("2026-11").cut(&zone("Asia/Kathmandu")).unwrap());
    assert_eq!((kathmandu.before.len(), kathmandu.after.len()), (9, 3));
    assert_eq!(kathmandu.hour_count(), 719);
}

#[test]
fn a_span_shorter_than_an_hour_is_buckets() {
    let found = parts(Span::new(time("10:10:00"), time("10:20:00")));
    assert_eq!((found.before.len(), found.hour_count(), found.after.len()), (2, 0, 0));
    let found = parts(Span::new(time("10:50:00"), time("11:10:00")));
    assert_eq!((found.before.len(), found.hour_count(), found.after.len()), (2, 0, 2));
    // A bucket belongs to the span that it begins in.
    let found = parts(Span::new(time("10:01:00"), time("10:06:00")));
    assert_eq!(found.before, [Bucket::holding(time("10:05:00"))]);
}

#[test]
fn months_are_read_and_shown() {
    assert_eq!(month("2026-11").to_string(), "2026-11");
    assert_eq!(month("2026-12").next().unwrap(), Month::new(2027, 1).unwrap());
    for wrong in ["2026", "2026-13", "2026-00", "26-11", "2026-1", "+026-11", "1969-12", ""] {
        assert!(wrong.parse::<Month>().is_err(), "{wrong}");
    }
    let said = "november".parse::<Month>().unwrap_err().to_string();
    assert_eq!(
        said,
        "`november` is no month that can be billed: write year and month, for example `2026-11`"
    );
    assert!(month("9998-12").cut(&zone("Pacific/Apia")).is_err());
}

#[test]
fn seconds_and_buckets() {
    let read = |text: &str| Second::holding(text.parse().unwrap());
    assert_eq!(read("1970-01-01T00:00:00.9Z"), Second(0));
    assert_eq!(read("1969-12-31T23:59:59.9Z"), Second(-1));
    assert_eq!(Second(-1).timestamp().to_string(), "1969-12-31T23:59:59Z");
    assert_eq!(Second(i64::MAX).timestamp(), jiff::Timestamp::MAX);
    assert_eq!(Bucket::holding(Second(-1)).start(), Second(-300));
    assert_eq!(Bucket::starting_at(Second(300)), Some(Bucket::holding(Second(599))));
    assert_eq!(Bucket::starting_at(Second(301)), None);
    let span = Span::new(Second(299), Second(601));
    assert_eq!(span.buckets().map(|bucket| bucket.start().0).collect::<Vec<_>>(), [0, 300, 600]);
    assert!(span.contains(Second(299)) && !span.contains(Second(601)));
    assert_eq!(Span::new(Second(5), Second(5)).buckets().count(), 0);
    assert_eq!(Span::new(Second(7), Second(5)).seconds(), 0);
}

#[test]
fn days_of_a_zone_cut_a_month_and_leave_nothing_out() {
    for (name, text, expected) in [
        ("UTC", "2026-02", vec![24; 28]),
        ("America/New_York", "2026-11", [vec![25], vec![24; 29]].concat()),
        ("America/New_York", "2026-03", [vec![24; 7], vec![23], vec![24; 23]].concat()),
        // Samoa went over the date line: it had no 30th of December.
        ("Pacific/Apia", "2011-12", vec![24; 30]),
    ] {
        let span = month(text).cut(&zone(name)).unwrap();
        let starts = days(span, &zone(name));
        let ends = starts.iter().skip(1).copied().chain([span.to]);
        let hours: Vec<i64> =
            starts.iter().zip(ends).map(|(from, to)| (to.0 - from.0) / 3600).collect();
        assert_eq!(hours, expected, "{text} in {name}");
    }
    let part = Span::new(instant("2026-11-02T20:00:00Z"), instant("2026-11-03T20:00:00Z"));
    let starts = days(part, &zone("Asia/Kolkata"));
    assert_eq!(starts, [part.from, instant("2026-11-03T18:30:00Z")]);
    assert!(days(Span::new(part.to, part.from), &TimeZone::UTC).is_empty());
}
