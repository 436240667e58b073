//! What the API server prints.

use super::{BINARY, DECIMAL, LENGTH_MAXIMUM, QuantityError, Unit, refuse};

/// Decimal units below one, with their powers of ten.
const SMALL: [(&str, i32); 3] = [("m", -3), ("u", -6), ("n", -9)];
/// Beyond it no amount of 64 bits is left, either way.
const POWER_MAXIMUM: i32 = 30;

/// Reads a quantity that the API server printed (`1500m`, `2Gi`, `1073741824`, `0`,
/// `12k`, `1e3`), in whole millicores, bytes or pieces. What is finer than the unit is
/// rounded up: a use is never shown as less than it is.
pub fn observed(unit: Unit, value: &str) -> Result<i64, QuantityError> {
    let finest = if unit == Unit::Millicores { 3 } else { 0 };
    i64::try_from(scaled(value, finest)?).map_err(|_| too_large(value))
}

/// Whether two quantities are the same amount, however they are written: `1` and `1000m`.
/// What cannot be read is the same as nothing.
pub fn same_amount(one: &str, other: &str) -> bool {
    // No part of a quantity is finer than a billionth.
    let billionths = |value: &str| scaled(value, 9).ok();
    billionths(one).is_some_and(|amount| Some(amount) == billionths(other))
}

/// The amount in units of ten to the power of minus `finest`, rounded up.
fn scaled(value: &str, finest: i32) -> Result<i128, QuantityError> {
    let wrong = || refuse(value, "is no quantity", "look at the object in the cluster".to_owned());
    if value.len() > LENGTH_MAXIMUM {
        return Err(wrong());
    }
    let number = value.strip_prefix('+').unwrap_or(value);
    let end = number
        .char_indices()
        .find(|(index, c)| !(c.is_ascii_digit() || *c == '.' || (*index == 0 && *c == '-')))
        .map_or(number.len(), |(index, _)| index);
    let (number, suffix) = number.split_at(end);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{decimals}").parse().map_err(|_| wrong())?;
    let (power, shift) = scale(suffix).ok_or_else(wrong)?;
    let finer = i32::try_from(decimals.len()).map_err(|_| wrong())?;
    let power = power - finer + finest;
    let shifted = digits.checked_mul(1_i128 << shift).ok_or_else(|| too_large(value))?;
    let factor = 10_i128.checked_pow(power.unsigned_abs()).ok_or_else(|| too_large(value))?;
    if power >= 0 {
        return shifted.checked_mul(factor).ok_or_else(|| too_large(value));
    }
    // Up, also below nothing.
    Ok(shifted.div_euclid(factor) + i128::from(shifted.rem_euclid(factor) != 0))
}

fn too_large(value: &str) -> QuantityError {
    refuse(value, "is too large to count", "look at the object in the cluster".to_owned())
}

/// The power of ten and the power of two of a suffix.
fn scale(suffix: &str) -> Option<(i32, u32)> {
    if suffix.is_empty() {
        return Some((0, 0));
    }
    if let Some((_, shift)) = BINARY.into_iter().find(|(name, _)| *name == suffix) {
        return Some((0, shift));
    }
    if let Some((_, power)) = DECIMAL.into_iter().find(|(name, _)| *name == suffix) {
        return Some((i32::try_from(power).ok()?, 0));
    }
    if let Some((_, power)) = SMALL.into_iter().find(|(name, _)| *name == suffix) {
        return Some((power, 0));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-POWER_MAXIMUM..=POWER_MAXIMUM).contains(&exponent).then_some((exponent, 0))
}
