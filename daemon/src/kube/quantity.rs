//! Quantities as Kubernetes writes them: `500m`, `1.5Gi`, `1e3`.

/// What a quantity amounts to, in billionths; `None` where it is none, or too much
/// to tell.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(part.bytes()) {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let (multiplier, ten_to) = scale(suffix)?;
    value = value.checked_mul(multiplier)?;
    let places = i32::try_from(part.len()).ok()?;
    let exponent = 9_i32.checked_add(ten_to)?.checked_sub(places)?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    value = if exponent >= 0 {
        value.checked_mul(power)?
    } else {
        // What is finer than a billionth is rounded up, as the API server does.
        value.checked_add(power - 1)? / power
    };
    Some(if negative { -value } else { value })
}

/// A factor and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?;
            (1, exponent.parse().ok().filter(|it| (-30..=30).contains(it))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_write_an_amount_are_the_same() {
        let same = [
            ["1", "1000m", "1e0", "+1"],
            ["1Gi", "1024Mi", "1073741824", "1048576Ki"],
            ["1.5Gi", "1536Mi", "1610612736", "1536Mi"],
            ["2k", "2e3", "2000", "2E3"],
            ["-1", "-1000m", "-1.0", "-1e0"],
            ["0", "0m", "0Gi", "-0"],
        ];
        for row in same {
            let found: Vec<_> = row.iter().map(|text| nanos(text).unwrap()).collect();
            assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{row:?}: {found:?}");
        }
        assert_ne!(nanos("999"), nanos("20"));
    }

    #[test]
    fn what_is_no_quantity_is_told() {
        for text in ["", "-", ".", "Gi", "1 Gi", "1e999", "1.2.3", "é", "1gi", "abc", "NaN"] {
            assert_eq!(nanos(text), None, "{text}");
        }
        assert_eq!(nanos(&"9".repeat(60)), None);
    }
}
