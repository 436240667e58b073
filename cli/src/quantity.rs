//! Amounts as people write and read them. What is written is taken exactly or
//! refused: nothing is rounded.

use streamspace_proto::v1::{QuotaChange, TenantQuota};

/// Units of bytes; the binary ones from the largest.
const BINARY: [(&str, i64); 6] = [
    ("Ei", 1 << 60),
    ("Pi", 1 << 50),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
];
const DECIMAL: [(&str, i64); 6] = [
    ("E", 1_000_000_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1000),
];

/// The resources of a tenant's quota.
pub(crate) const RESOURCES: [&str; 4] = ["cpu", "memory", "storage", "pods"];

/// Bytes, from `8Gi`, `500M` or a bare number.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no amount of bytes: write 512Mi, 200Gi or 2Ti");
    let units = BINARY.iter().chain(&DECIMAL);
    let (digits, unit) = units
        .clone()
        .find_map(|(suffix, size)| text.strip_suffix(suffix).map(|digits| (digits, *size)))
        .unwrap_or((text, 1));
    if digits.contains('.') {
        return Err(format!("{text:?} is no whole number of its unit: write 1536Mi for 1.5Gi"));
    }
    let count = whole(digits).ok_or_else(wrong)?;
    count.checked_mul(unit).ok_or_else(|| format!("{text:?} is more than can be counted"))
}

/// Thousandths of a core, from `100`, `1.5` or `500m`.
pub(crate) fn parse_cpu(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no amount of CPU: write 100, 1.5 or 500m");
    match text.strip_suffix('m') {
        Some(digits) => whole(digits).ok_or_else(wrong),
        None => fixed(text, 3).ok_or_else(wrong),
    }
}

/// Millionths of a dollar, from `29` or `12.50`.
pub(crate) fn parse_price(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no price: write dollars, 29 or 12.50");
    fixed(text.strip_prefix('$').unwrap_or(text), 6).ok_or_else(wrong)
}

/// Millionths, from a percentage: `99.9`.
pub(crate) fn parse_percent(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is no percentage: write 99.9 or 99.95");
    let ppm = fixed(text.strip_suffix('%').unwrap_or(text).trim_end(), 4).ok_or_else(wrong)?;
    i32::try_from(ppm).ok().filter(|ppm| *ppm <= 1_000_000).ok_or_else(wrong)
}

/// Thousandths, from a multiple: `4.0`.
pub(crate) fn parse_multiple(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is no multiple: write 4 or 2.5");
    let permille = fixed(text, 3).ok_or_else(wrong)?;
    i32::try_from(permille).ok().filter(|permille| *permille > 0).ok_or_else(wrong)
}

/// A resource and its amount: `cpu=+40`, `memory=100Gi`. Both go to the daemon as
/// they stand, which reads them by the same rules for everybody.
pub(crate) fn parse_assignment(text: &str) -> Result<QuotaChange, String> {
    match text.split_once('=') {
        Some((resource, amount)) if !resource.is_empty() && !amount.is_empty() => {
            Ok(QuotaChange { resource: resource.to_owned(), amount: amount.to_owned() })
        }
        _ => Err(format!(
            "{text:?} is no amount of a resource: write cpu=80, cpu=+40 or memory=100Gi"
        )),
    }
}

/// Digits alone.
fn whole(digits: &str) -> Option<i64> {
    // `parse` would take a sign too.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A decimal number in units of its `places`th place; none where it is finer.
fn fixed(text: &str, places: u32) -> Option<i64> {
    let (digits, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let scale = 10_i64.checked_pow(places)?;
    let finest = places.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let fraction = if fraction.is_empty() { 0 } else { whole(fraction)? };
    let fraction = fraction.checked_mul(10_i64.checked_pow(finest)?)?;
    whole(digits)?.checked_mul(scale)?.checked_add(fraction)
}

/// Bytes for people, exactly: `8 GiB`.
pub(crate) fn bytes(count: i64) -> String {
    for (unit, size) in BINARY {
        if count >= size && count % size == 0 {
            return format!("{} {unit}B", count / size);
        }
    }
    format!("{count} B")
}

/// Thousandths of a core for people: `4`, or `500m`.
pub(crate) fn cpu(millicores: i64) -> String {
    match millicores {
        whole if whole % 1000 == 0 => format!("{}", whole / 1000),
        part => format!("{part}m"),
    }
}

/// The amount of a resource of a quota for people.
pub(crate) fn amount(resource: &str, amount: i64) -> String {
    match resource {
        "cpu" => cpu(amount),
        "memory" | "storage" => bytes(amount),
        _ => amount.to_string(),
    }
}

/// A tenant's quota in a line.
pub(crate) fn quota(quota: &TenantQuota) -> String {
    format!(
        "{} CPU, {} memory, {} storage, {} pods",
        cpu(quota.cpu_millicores),
        bytes(quota.memory_bytes),
        bytes(quota.storage_bytes),
        quota.pods
    )
}

/// Micros of a dollar as dollars: exact, with at least two digits.
pub(crate) fn dollars(micros: i64) -> String {
    let (dollars, rest) = (micros / 1_000_000, (micros % 1_000_000).abs());
    let digits = format!("{rest:06}");
    let kept = digits.trim_end_matches('0').len().max(2);
    format!("${dollars}.{}", digits.get(..kept).unwrap_or(&digits))
}

/// Parts of `10^places` as a decimal number without needless zeros.
pub(crate) fn decimal(parts: i32, places: u32) -> String {
    let scale = 10_i32.saturating_pow(places);
    let (whole, rest) = (parts / scale, (parts % scale).abs());
    let width = usize::try_from(places).unwrap_or_default();
    let text = format!("{whole}.{rest:0width$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(parse_bytes("200Gi"), Ok(200 << 30));
        assert_eq!(parse_bytes("5G"), Ok(5_000_000_000));
        assert_eq!(parse_bytes("1024"), Ok(1024));
        assert_eq!(parse_cpu("100"), Ok(100_000));
        assert_eq!(parse_cpu("1.5"), Ok(1500));
        assert_eq!(parse_cpu("500m"), Ok(500));
        assert_eq!(parse_price("29"), Ok(29_000_000));
        assert_eq!(parse_price("$12.345"), Ok(12_345_000));
        assert_eq!(parse_percent("99.95"), Ok(999_500));
        assert_eq!(parse_percent("100 %"), Ok(1_000_000));
        assert_eq!(parse_multiple("4.0"), Ok(4000));
    }

    #[test]
    fn what_is_no_amount_is_refused_with_the_remedy() {
        for text in
            ["", "Gi", "-1", "+1", "1e999", "1.5Gi", "1gi", "9999999Pi", "1 Gi", "٣", "1Gi "]
        {
            let error = parse_bytes(text).unwrap_err();
            assert!(error.contains("write") || error.contains("more than"), "{text}: {error}");
        }
        for text in ["", ".", "1.", ".5", "1.2345", "-1", "1e3", "0.5m", "99999999999999999999"] {
            assert!(parse_cpu(text).is_err(), "{text}");
        }
        assert!(parse_price("12.1234567").is_err());
        assert!(parse_percent("100.1").is_err() && parse_percent("-1").is_err());
        assert!(parse_multiple("0").is_err());
    }

    #[test]
    fn a_resource_and_its_amount_are_taken_apart() {
        let pair = |resource: &str, amount: &str| {
            Ok(QuotaChange { resource: resource.into(), amount: amount.into() })
        };
        assert_eq!(parse_assignment("cpu=+40"), pair("cpu", "+40"));
        assert_eq!(parse_assignment("memory=-10Gi"), pair("memory", "-10Gi"));
        for text in ["cpu", "cpu=", "=1", ""] {
            assert!(parse_assignment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_written_exactly() {
        assert_eq!(dollars(25_000_000), "$25.00");
        assert_eq!(dollars(12_345_000), "$12.345");
        assert_eq!(decimal(999_000, 4), "99.9");
        assert_eq!(decimal(999_950, 4), "99.995");
        assert_eq!(decimal(1_000_000, 4), "100");
        assert_eq!(decimal(4000, 3), "4");
        assert_eq!(bytes(8 << 30), "8 GiB");
        assert_eq!(bytes(1536 << 20), "1536 MiB");
        assert_eq!(bytes(5), "5 B");
        assert_eq!(amount("cpu", 1500), "1500m");
        assert_eq!(amount("pods", 7), "7");
    }
}
