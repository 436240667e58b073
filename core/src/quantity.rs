//! Amounts of CPU, of bytes and of pieces: how people write them, how the API server
//! prints them, and how it prints them back.
//!
//! Three directions with three rules. What a person writes is read strictly: an exact
//! amount of whole units, or a refusal that says what to write instead. What is sent to
//! the cluster has the one form that the API server would print ([`Bytes::canonical`]),
//! so that a comparison with the live object is a comparison of texts. What the cluster
//! prints is read in full ([`observed`]), and rounded up where it is finer than the unit.

use std::fmt;

use thiserror::Error;

use crate::text;

pub use observed::{observed, same_amount};

mod observed;
#[cfg(test)]
mod tests;

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub i64);

/// An amount of CPU in thousandths of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millicores(pub i64);

/// The unit that an amount is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Thousandths of a core.
    Millicores,
    /// Bytes.
    Bytes,
    /// Pieces.
    Count,
}

/// Why a text is no quantity: what was read, what is wrong with it, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{value}` {fault}: {remedy}")]
pub struct QuantityError {
    /// The value, escaped and shortened to 64 characters.
    pub value: String,
    /// What is wrong with it.
    pub fault: &'static str,
    /// What to write instead.
    pub remedy: String,
}

/// The binary units, largest first, with the power of two of each.
const BINARY: [(&str, u32); 6] =
    [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
/// The decimal units, largest first, with the power of ten of each.
const DECIMAL: [(&str, u32); 6] = [("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3)];
/// More characters than any amount of 64 bits needs.
const LENGTH_MAXIMUM: usize = 32;

/// Shows a Kubernetes quantity in the largest binary unit that is exact: `200Gi`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BINARY.into_iter().find(|(_, shift)| self.0.trailing_zeros() >= *shift);
        match unit {
            Some((unit, shift)) if self.0 != 0 => write!(f, "{}{unit}", self.0 >> shift),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// Shows a Kubernetes quantity: `4` for whole cores, else `500m`.
impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1000 == 0 { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

impl Millicores {
    /// Reads what a person writes: whole cores (`4`), thousandths (`500m`) or up to three
    /// decimals (`1.5`). More than nothing, with no sign and no other unit.
    pub fn parse(value: &str) -> Result<Self, QuantityError> {
        let parts = Parts::of(value, Unit::Millicores)?;
        let scale = match parts.unit {
            "" => 3_u32,
            "m" => 0,
            _ => {
                let cores = decimal_power(parts.unit).and_then(|power| parts.scaled(power, 0));
                return Err(refuse(
                    value,
                    "has a unit that CPU is not written in",
                    cores.map_or_else(
                        || "write cores or thousandths, for example `4` or `500m`".to_owned(),
                        |cores| format!("write `{cores}`"),
                    ),
                ));
            }
        };
        match parts.scaled(scale, 0) {
            Some(_) if parts.unit == "m" && parts.has_point() => Err(refuse(
                value,
                "has a fraction of a thousandth of a core",
                "write whole thousandths, for example `500m`".to_owned(),
            )),
            Some(amount) => in_range(value, amount, "write cores or thousandths").map(Self),
            None if parts.has_point() => Err(refuse(
                value,
                "is finer than a thousandth of a core, or too large",
                "write at most three decimals, for example `1.5`".to_owned(),
            )),
            None => Err(too_large(value)),
        }
    }

    /// As the API server prints it back: `4`, `1500m`, `2k`.
    pub fn canonical(self) -> String {
        if self.0 % 1000 == 0 { canonical_count(self.0 / 1000) } else { format!("{}m", self.0) }
    }
}

impl Bytes {
    /// Reads what a person writes: whole bytes, or a whole number of `Ki`, `Mi`, `Gi`,
    /// `Ti`, `Pi`, `Ei`, `k`, `M`, `G`, `T`, `P` or `E`. More than nothing, with no sign
    /// and no fraction.
    pub fn parse(value: &str) -> Result<Self, QuantityError> {
        let parts = Parts::of(value, Unit::Bytes)?;
        let Some((power, shift)) = byte_unit(parts.unit) else {
            return Err(unknown_byte_unit(value, &parts));
        };
        let amount = parts.scaled(power, shift);
        if parts.has_point() {
            let exact = amount.and_then(|bytes| i64::try_from(bytes).ok()).filter(|b| *b > 0);
            let remedy = exact.map_or_else(
                || "write whole numbers in a smaller unit, for example `1536Mi`".to_owned(),
                |bytes| format!("write `{}`", Self(bytes)),
            );
            return Err(refuse(value, "has a fraction", remedy));
        }
        let amount = amount.ok_or_else(|| too_large(value))?;
        in_range(value, amount, "write a size").map(Self)
    }

    /// As the API server prints it back: `200Gi`, `5G`, `1500`.
    pub fn canonical(self) -> String {
        if self.0 % 1024 == 0 { self.to_string() } else { canonical_count(self.0) }
    }
}

/// Reads a number of pieces that a person writes: digits alone, more than nothing.
pub fn parse_count(value: &str) -> Result<i64, QuantityError> {
    let parts = Parts::of(value, Unit::Count)?;
    let whole = byte_unit(parts.unit).and_then(|(power, shift)| parts.scaled(power, shift));
    if !parts.unit.is_empty() || parts.has_point() {
        let remedy = whole.filter(|count| *count > 0).map_or_else(
            || "write digits alone, for example `20`".to_owned(),
            |count| format!("write `{count}`"),
        );
        return Err(refuse(value, "is no whole number in digits alone", remedy));
    }
    in_range(value, whole.ok_or_else(|| too_large(value))?, "write a number")
}

/// A number of pieces as the API server prints it back: `20`, `2k`.
pub fn canonical_count(count: i64) -> String {
    let unit = DECIMAL.into_iter().find(|(_, power)| count % 10_i64.pow(*power) == 0);
    match unit {
        Some((unit, power)) if count != 0 => format!("{}{unit}", count / 10_i64.pow(power)),
        _ => count.to_string(),
    }
}

impl Unit {
    /// Reads what a person writes in this unit.
    pub fn parse(self, value: &str) -> Result<i64, QuantityError> {
        match self {
            Self::Millicores => Millicores::parse(value).map(|amount| amount.0),
            Self::Bytes => Bytes::parse(value).map(|amount| amount.0),
            Self::Count => parse_count(value),
        }
    }

    /// Shows an amount to people.
    pub fn show(self, amount: i64) -> String {
        match self {
            Self::Millicores => Millicores(amount).to_string(),
            Self::Bytes => Bytes(amount).to_string(),
            Self::Count => amount.to_string(),
        }
    }

    /// An amount as the API server prints it back.
    pub fn canonical(self, amount: i64) -> String {
        match self {
            Self::Millicores => Millicores(amount).canonical(),
            Self::Bytes => Bytes(amount).canonical(),
            Self::Count => canonical_count(amount),
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Millicores => "write cores, for example `4` or `500m`",
            Self::Bytes => "write a size, for example `80Gi`",
            Self::Count => "write a number, for example `20`",
        }
    }
}

/// A text as a person writes it, taken apart: digits, decimals, unit.
struct Parts<'a> {
    whole: &'a str,
    /// What stands after the point; `None` without one.
    decimals: Option<&'a str>,
    unit: &'a str,
}

impl<'a> Parts<'a> {
    fn of(value: &'a str, unit: Unit) -> Result<Self, QuantityError> {
        let example = || unit.example().to_owned();
        if value.is_empty() {
            return Err(refuse(value, "is empty", example()));
        }
        if value.len() > LENGTH_MAXIMUM {
            return Err(refuse(value, "is longer than any quantity", example()));
        }
        let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
        let (number, rest) = value.split_at(end);
        if number.is_empty() {
            let fault = if value.starts_with('-') {
                "is negative"
            } else {
                "does not begin with a digit of 0 to 9"
            };
            return Err(refuse(value, fault, example()));
        }
        let has_exponent = rest.strip_prefix(['e', 'E']).is_some_and(|power| {
            let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        if has_exponent {
            return Err(refuse(value, "has an exponent", example()));
        }
        let (whole, decimals) = match number.split_once('.') {
            None => (number, None),
            Some((whole, decimals)) => (whole, Some(decimals)),
        };
        let is_number = !whole.is_empty()
            && decimals.is_none_or(|digits| !digits.is_empty() && !digits.contains('.'));
        if !is_number || !rest.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(refuse(value, "is no number and unit", example()));
        }
        Ok(Self { whole, decimals, unit: rest })
    }

    fn has_point(&self) -> bool {
        self.decimals.is_some()
    }

    /// The number times a power of ten and a power of two, where that is exact and fits.
    fn scaled(&self, power: u32, shift: u32) -> Option<i128> {
        let decimals = self.decimals.unwrap_or_default();
        let digits: i128 = format!("{}{decimals}", self.whole).parse().ok()?;
        let factor = 10_i128.checked_pow(power)?.checked_mul(1_i128.checked_shl(shift)?)?;
        let divisor = 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
        let product = digits.checked_mul(factor)?;
        (product % divisor == 0).then(|| product / divisor)
    }
}

fn decimal_power(unit: &str) -> Option<u32> {
    DECIMAL.into_iter().find(|(name, _)| *name == unit).map(|(_, power)| power)
}

/// The power of ten and the power of two of a unit of bytes.
fn byte_unit(unit: &str) -> Option<(u32, u32)> {
    let binary = BINARY.into_iter().find(|(name, _)| *name == unit).map(|(_, shift)| (0, shift));
    let none = unit.is_empty().then_some((0, 0));
    none.or(binary).or_else(|| decimal_power(unit).map(|power| (power, 0)))
}

/// `80GB`, `80GiB`, `80gi` and `80g` mean `80Gi` more often than not.
fn unknown_byte_unit(value: &str, parts: &Parts<'_>) -> QuantityError {
    let spelled = parts.unit.to_ascii_lowercase();
    let letter = spelled.trim_end_matches('b').trim_end_matches('i');
    let meant = BINARY.into_iter().find(|(name, _)| {
        name.strip_suffix('i').is_some_and(|name| name.eq_ignore_ascii_case(letter))
    });
    let remedy = match meant {
        Some((unit, _)) if !parts.has_point() => format!("write `{}{unit}`", parts.whole),
        _ => "write bytes, or one of Ki, Mi, Gi, Ti, for example `80Gi`".to_owned(),
    };
    refuse(value, "has a unit that sizes are not written in", remedy)
}

fn in_range(value: &str, amount: i128, remedy: &str) -> Result<i64, QuantityError> {
    if amount == 0 {
        return Err(refuse(value, "is nothing", format!("{remedy} of more than 0")));
    }
    i64::try_from(amount).map_err(|_| too_large(value))
}

fn too_large(value: &str) -> QuantityError {
    refuse(value, "is too large to count", "write less".to_owned())
}

fn refuse(value: &str, fault: &'static str, remedy: String) -> QuantityError {
    QuantityError { value: text::excerpt(value), fault, remedy }
}
