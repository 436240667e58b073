//! Kubernetes quantities, spelled in their one canonical way.

use std::fmt;

use serde_json::Value;

/// The number of digits after the point that are kept: nothing is smaller than a nano.
const NANO_DIGITS: u32 = 9;

/// How an amount's suffix scales it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Powers of 1024: `Ki` to `Ei`.
    Binary,
    /// Powers of 1000 by a letter, `n` to `E`, or none.
    Decimal,
    /// Powers of ten by an exponent: `5e3`.
    Exponent,
}

/// An amount, to the nano.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    nanos: i128,
    format: Format,
}

impl Amount {
    pub(crate) const ZERO: Self = Self { nanos: 0, format: Format::Decimal };

    /// So many whole ones.
    pub(crate) fn whole(count: usize) -> Self {
        let count = i128::try_from(count).unwrap_or(i128::MAX);
        Self { nanos: count.saturating_mul(10_i128.pow(NANO_DIGITS)), format: Format::Decimal }
    }

    /// Reads a quantity; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at_checked(end)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (format, multiplier, exponent) = scale(suffix)?;
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let fraction_digits = u32::try_from(fraction.len()).ok()?;
        // The amount in nanos, rounded up as the API server does.
        let scaled = digits.checked_mul(multiplier)?;
        let power = i64::from(NANO_DIGITS) + exponent - i64::from(fraction_digits);
        let nanos = if power >= 0 {
            scaled.checked_mul(10_i128.checked_pow(u32::try_from(power).ok()?)?)?
        } else {
            let divisor = 10_i128.checked_pow(u32::try_from(-power).ok()?)?;
            scaled.checked_add(divisor - 1)? / divisor
        };
        Some(Self { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// The amount that a JSON value is.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// Both together, spelled as the first that is not nothing.
    pub(crate) fn plus(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_add(other.nanos), format }
    }

    /// What is over the other; never less than nothing.
    pub(crate) fn over(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_sub(other.nanos).max(0), format: self.format }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub(crate) fn exceeds(self, other: Self) -> bool {
        self.nanos > other.nanos
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        write!(f, "{sign}{}", spell(self.nanos.abs(), self.format))
    }
}

/// The canonical spelling: no fraction, as few digits as can be, and the largest
/// suffix of the same format. `None` for what is no quantity.
pub(crate) fn canonical(text: &str) -> Option<String> {
    Amount::parse(text).map(|amount| amount.to_string())
}

fn scale(suffix: &str) -> Option<(Format, i128, i64)> {
    let binary = |power: u32| Some((Format::Binary, 1024_i128.pow(power), 0));
    let decimal = |exponent: i64| Some((Format::Decimal, 1, exponent));
    match suffix {
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?;
            let exponent: i64 = exponent.parse().ok()?;
            (-30..=30).contains(&exponent).then_some((Format::Exponent, 1, exponent))
        }
    }
}

fn spell(nanos: i128, format: Format) -> String {
    const NANOS: i128 = 10_i128.pow(NANO_DIGITS);
    let whole = nanos % NANOS == 0;
    if nanos == 0 {
        return "0".to_owned();
    }
    if format == Format::Binary && whole && nanos / NANOS >= 1024 {
        let mut amount = nanos / NANOS;
        let mut suffix = "";
        for next in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
            if amount % 1024 != 0 {
                break;
            }
            amount /= 1024;
            suffix = next;
        }
        return format!("{amount}{suffix}");
    }
    let mut amount = nanos;
    let mut exponent = -9_i32;
    while amount % 1000 == 0 && exponent < 18 {
        amount /= 1000;
        exponent += 3;
    }
    if format == Format::Exponent {
        return if exponent == 0 { amount.to_string() } else { format!("{amount}e{exponent}") };
    }
    let suffix = match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    };
    format!("{amount}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn amounts_have_one_spelling() {
        for (given, wanted) in [
            ("1024Mi", "1Gi"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1000", "1k"),
            ("2000k", "2M"),
            ("100", "100"),
            ("1025", "1025"),
            ("0Gi", "0"),
            ("10Ti", "10Ti"),
            ("512Ki", "512Ki"),
            ("1e3", "1e3"),
            ("-1", "-1"),
            ("0.0000000001", "1n"),
            ("0.5Gi", "512Mi"),
            ("1Ki", "1Ki"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(wanted), "{given}");
        }
        for given in ["", "Gi", "1.2.3", "1Zi", "abc", "1e999", "1 Gi", "--1"] {
            assert_eq!(canonical(given), None, "{given}");
        }
    }
}
