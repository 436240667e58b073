//! What a page shows against what came, up to what differs from run to run.

/// Stands for any lines, or within a line for any words.
const ANYTHING: &str = "…";

/// Whether what came is what is shown. The error shows both.
pub(crate) fn compare(shown: &[String], came: &[String]) -> Result<(), String> {
    let wanted: Vec<String> = told(shown);
    let found: Vec<String> = told(came);
    if fits(&wanted, &found) {
        return Ok(());
    }
    let lines = |lines: &[String]| format!("    {}\n", lines.join("\n    "));
    Err(format!("the page shows\n{}and this came\n{}", lines(&wanted), lines(&found)))
}

/// The lines that are compared: how often the progress of a wait is told depends on how
/// fast the machine is.
fn told(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !is_progress(line)).map(|line| normal(line)).collect()
}

fn is_progress(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(name, _)| {
        ["tenants/", "operations/"].iter().any(|kind| name.starts_with(kind)) && !name.contains(' ')
    })
}

fn fits(wanted: &[String], found: &[String]) -> bool {
    match wanted {
        [] => found.is_empty(),
        [any, rest @ ..] if any == ANYTHING => {
            (0..=found.len()).any(|skipped| fits(rest, &found[skipped..]))
        }
        [line, rest @ ..] => {
            found.first().is_some_and(|first| line_fits(line, first)) && fits(rest, &found[1..])
        }
    }
}

/// Whether a line is the one that is shown, `…` within it being anything.
pub(crate) fn line_fits(wanted: &str, found: &str) -> bool {
    let mut parts = wanted.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || last.is_some_and(|part| part.is_empty() || found.ends_with(part))
}

/// A line without what differs from run to run, and without its layout.
pub(crate) fn normal(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut normal = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let last = index.checked_sub(1).map_or("", |index| words[index]);
        let next = words.get(index + 1).map_or("", |next| next.trim_end_matches([')', ',']));
        let place = match last {
            // Versions of what the machine has.
            "PostgreSQL" => {
                normal.push("<version>".to_owned());
                break;
            }
            "Revision:" | "revision" => "<revision>".to_owned(),
            "after" if word.parse::<f64>().is_ok() => "<seconds>".to_owned(),
            _ if next == "ms" => "<milliseconds>".to_owned(),
            _ => word.split(',').map(placeholder).collect::<Vec<_>>().join(","),
        };
        normal.push(place);
    }
    normal.join(" ")
}

fn placeholder(word: &str) -> String {
    let core = word.trim_matches(|c| "():;\"'`".contains(c));
    let shape: String = core.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let is_age = core.len() > 1
        && core.starts_with(|c: char| c.is_ascii_digit())
        && core.ends_with(|c| "smhd".contains(c))
        && core.chars().all(|c| c.is_ascii_digit() || "smhd".contains(c));
    let place = if matches!(shape.as_str(), "9999-99-99" | "99-99") {
        "<date>"
    } else if shape.starts_with("9999-99-99T99:99:99") {
        "<instant>"
    } else if shape == "99:99:99" || shape == "99:99" {
        "<time>"
    } else if is_etag(core) {
        "<etag>"
    } else if is_age {
        "<age>"
    } else if is_hexadecimal(core) {
        "<hexadecimal>"
    } else {
        return without_ids(word);
    };
    word.replace(core, place)
}

/// UUIDs stand alone, behind a slash, or in a token of ours.
fn without_ids(word: &str) -> String {
    let is_id = |text: &str| {
        text.len() == 36
            && text.chars().filter(|c| *c == '-').count() == 4
            && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    if let Some((before, _)) = word.split_once("sst1_") {
        return format!("{before}<token>");
    }
    if let Some((before, port)) = word.split_once("127.0.0.1:") {
        let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{before}127.0.0.1:<port>{rest}");
    }
    let part = |text: &str| {
        let core = text.trim_matches(|c| "(),:;\"'`".contains(c));
        if is_id(core) {
            text.replace(core, "<id>")
        } else if is_hexadecimal(core) {
            text.replace(core, "<hexadecimal>")
        } else {
            text.to_owned()
        }
    };
    word.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn is_etag(word: &str) -> bool {
    word.split_once('-').is_some_and(|(uid, generation)| {
        uid.len() == 8
            && uid.chars().all(|c| c.is_ascii_hexdigit())
            && generation.parse::<u64>().is_ok()
    })
}

/// A serial or a digest.
fn is_hexadecimal(word: &str) -> bool {
    word.len() >= 16
        && word.chars().all(|c| c.is_ascii_hexdigit())
        && word.chars().any(|c| c.is_ascii_digit())
}

#[test]
fn only_what_differs_from_run_to_run_is_left_out() {
    for (line, left) in [
        ("Created:  2026-11-24 16:44:34 +00:00", "Created: <date> <time> +00:00"),
        ("until 2026-12-24T16:44:34Z on", "until <instant> on"),
        ("Uid:  01a20e71-df7b-76cf-b6c5-dc9a35aaa494", "Uid: <id>"),
        ("operations/01a20e71-df7b-76cf-b6c5-dc9a35aaa494 done", "operations/<id> done"),
        ("Etag: 35aaa494-1", "Etag: <etag>"),
        ("as wished (for 11h59m)", "as wished (for <age>)"),
        ("ok for 2s: PostgreSQL 15.18 (Debian)", "ok for <age>: PostgreSQL <version>"),
        ("Revision:  24", "Revision: <revision>"),
        ("Serial: 01a20e71df7b76cfb6c5", "Serial: <hexadecimal>"),
        ("is ready after 1.3 s: gRPC", "is ready after <seconds> s: gRPC"),
        ("--token sst1_AAAA.BBB", "--token <token>"),
        ("~ certificates/01a20e71df7b76cfb6c5", "~ certificates/<hexadecimal>"),
        ("Cluster: https://127.0.0.1:43659/", "Cluster: https://127.0.0.1:<port>/"),
        ("Seats:  5", "Seats: 5"),
        ("acme,10,,1s,Acme Inc", "acme,10,,<age>,Acme Inc"),
        ("11-28 22:01  ada", "<date> <time> ada"),
        ("takes connections (0.1 ms)", "takes connections <milliseconds> ms)"),
    ] {
        assert_eq!(normal(line), left);
    }
}

#[test]
fn lines_are_compared_in_order_and_whole() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (shown, came, fits) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nb\nc", false),
        ("a\nb", "b\na", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…\nd", "a\nd", true),
        ("a\n…\nd", "a\nb", false),
        ("a … d", "a b c d", true),
        ("a … d", "a b c e", false),
        ("a …", "a b", true),
        ("a … c … e", "a b c d e", true),
        ("tenants/a: active\nb", "tenants/a: provisioning\ntenants/a: active\nb", true),
        ("b", "c", false),
        ("for 3s", "for 12m4s", true),
    ] {
        assert_eq!(compare(&lines(shown), &lines(came)).is_ok(), fits, "{shown:?} {came:?}");
    }
}
