//! How often and how long, in fixed-point numbers.
//!
//! No floating-point number and no mathematical library has a part in it: their last
//! digits differ between machines, and one that differs moves everything after it. The
//! logarithm and the power of two are tables of 257 values, which the compiler makes by
//! squaring and by square roots of whole numbers, with straight lines between them.

use super::random::Random;

/// One, with 31 bits behind the point.
pub(super) const ONE: u64 = 1 << POINT;
const POINT: u32 = 31;
/// The steps of a table, and the bits that choose one.
const STEPS: usize = 256;
const STEP_BITS: u32 = 8;
/// What is behind the bits that choose the step.
const REST_BITS: u32 = POINT - STEP_BITS;
/// The natural logarithm of 2, and 1 divided by it.
const LN_2: u64 = 1_488_522_236;
const LOG2_E: i128 = 3_098_164_009;

/// The binary logarithms of 1 + i/256.
static LOGARITHMS: [u64; STEPS + 1] = logarithms();
/// 2 to the power of i/256.
static POWERS: [u64; STEPS + 1] = powers();

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it, and would refuse it")]
const fn logarithms() -> [u64; STEPS + 1] {
    let mut table = [0; STEPS + 1];
    let mut index = 0;
    let mut value = ONE;
    while index < STEPS {
        // Squaring doubles the logarithm: each overflow past 2 is its next bit.
        let mut square = value;
        let mut bit = POINT;
        while bit > 0 {
            bit -= 1;
            square = (square * square) >> POINT;
            if square >= 2 * ONE {
                square >>= 1;
                table[index] |= 1 << bit;
            }
        }
        index += 1;
        value += ONE >> STEP_BITS;
    }
    table[STEPS] = ONE;
    table
}

#[allow(clippy::indexing_slicing, reason = "the compiler evaluates it, and would refuse it")]
const fn powers() -> [u64; STEPS + 1] {
    let mut table = [ONE; STEPS + 1];
    // The square root of 2, its square root, and so on, one for each bit of the index.
    let mut root = 2 * ONE;
    let mut bit = STEP_BITS;
    while bit > 0 {
        bit -= 1;
        root = (root << POINT).isqrt();
        let mut index = 0;
        while index < STEPS {
            if index & (1 << bit) != 0 {
                table[index] = (table[index] * root) >> POINT;
            }
            index += 1;
        }
    }
    table[STEPS] = 2 * ONE;
    table
}

/// The value of a table at a fraction of 31 bits.
fn between(table: &[u64; STEPS + 1], fraction: u64) -> u64 {
    let step = usize::try_from(fraction >> REST_BITS).unwrap_or(STEPS);
    let rest = fraction & ((1 << REST_BITS) - 1);
    let at = |index: usize| table.get(index).copied().unwrap_or(ONE);
    let (low, high) = (at(step), at(step + 1));
    low + (((high - low) * rest) >> REST_BITS)
}

/// A waiting time whose mean is one: the inverse transform `-ln(u)`.
pub(super) fn exponential(random: &mut Random) -> u64 {
    let drawn = random.next().max(1);
    let zeros = drawn.leading_zeros();
    // The mantissa without its first bit, which is 1.
    let fraction = (drawn << zeros << 1) >> (64 - POINT);
    let logarithm = between(&LOGARITHMS, fraction);
    let binary = u64::from(zeros + 1) * ONE - logarithm;
    // At most 64 times one, so that the product has less than 69 bits.
    let natural = (u128::from(binary) * u128::from(LN_2)) >> POINT;
    u64::try_from(natural).unwrap_or(u64::MAX)
}

/// Seconds until something that happens once in `mean` seconds.
pub(super) fn wait(random: &mut Random, mean: i64) -> i64 {
    let scaled = (u128::from(exponential(random)) * u128::from(mean.unsigned_abs())) >> POINT;
    i64::try_from(scaled).unwrap_or(i64::MAX)
}

/// A number of the standard normal distribution: the sum of twelve even ones less six
/// (Irwin and Hall), so that none is beyond six.
fn normal(random: &mut Random) -> i64 {
    let mut sum = 0;
    for _ in 0..3 {
        let drawn = random.next();
        for lane in 0..4 {
            sum += (drawn >> (16 * lane)) & 0xffff;
        }
    }
    (i64::try_from(sum).unwrap_or(0) - 6 * 0xffff) << (POINT - 16)
}

/// How long something lasts, by a log-normal distribution, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// Half of them last less, in seconds.
    pub median: i64,
    /// The standard deviation of the natural logarithm, in thousandths.
    pub sigma_milli: i64,
}

impl Lasting {
    /// One that is drawn; one second at the least.
    pub(super) fn draw(self, random: &mut Random) -> i64 {
        let exponent = i128::from(normal(random)) * i128::from(self.sigma_milli) / 1000;
        let binary = (exponent * LOG2_E) >> POINT;
        let (whole, fraction) = (binary >> POINT, binary & i128::from(ONE - 1));
        let power = between(&POWERS, u64::try_from(fraction).unwrap_or(0));
        let product = i128::from(self.median.max(0)) * i128::from(power);
        // From the power's point back by the whole part of the exponent.
        let shift = i128::from(POINT) - whole;
        let seconds = match u32::try_from(shift) {
            Ok(right) => product.checked_shr(right).unwrap_or(0),
            Err(_) => u32::try_from(-shift)
                .ok()
                .filter(|left| *left < product.leading_zeros())
                .map_or(i128::MAX, |left| product << left),
        };
        i64::try_from(seconds).unwrap_or(i64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 20_000;

    /// In thousandths.
    fn mean(mut draw: impl FnMut() -> i64) -> i64 {
        let sum: i64 = (0..DRAWS).map(|_| draw()).sum();
        sum / i64::try_from(DRAWS).unwrap()
    }

    #[test]
    fn the_tables_rise_and_end_where_they_must() {
        assert!(LOGARITHMS.is_sorted() && POWERS.is_sorted());
        assert_eq!((LOGARITHMS[0], LOGARITHMS[STEPS]), (0, ONE));
        assert_eq!((POWERS[0], POWERS[STEPS]), (ONE, 2 * ONE));
        // log2(1.5) and the square root of 2.
        assert_eq!(LOGARITHMS[STEPS / 2] * 1_000_000_000 / ONE, 584_962_500);
        assert_eq!(POWERS[STEPS / 2] * 100_000_000 / ONE, 141_421_356);
        // Each is the inverse of the other.
        for (index, fraction) in (0..256).zip(&LOGARITHMS) {
            let value = ONE + (ONE >> STEP_BITS) * index;
            assert!(between(&POWERS, *fraction).abs_diff(value) < ONE / 500_000, "{index}");
        }
    }

    #[test]
    fn the_first_numbers_of_a_seed_are_these_on_every_machine() {
        let mut random = Random(7);
        let waits: Vec<i64> = (0..4).map(|_| wait(&mut random, 3600)).collect();
        let spell = Lasting { median: 3000, sigma_milli: 800 };
        let spells: Vec<i64> = (0..4).map(|_| spell.draw(&mut random)).collect();
        assert_eq!((waits, spells), (vec![3391, 14713, 376, 1942], vec![2858, 2871, 3160, 2636]));
    }

    #[test]
    fn waits_have_their_mean_and_their_median() {
        let mut random = Random(1);
        let all = mean(|| wait(&mut random, 1_000_000));
        assert!((980_000..1_020_000).contains(&all), "{all}");
        let mut drawn: Vec<i64> = (0..DRAWS).map(|_| wait(&mut random, 1_000_000)).collect();
        drawn.sort_unstable();
        // ln 2 of the mean.
        let median = drawn[drawn.len() / 2];
        assert!((680_000..706_000).contains(&median), "{median}");
    }

    #[test]
    fn lengths_are_log_normal() {
        let mut random = Random(2);
        let lasting = Lasting { median: 3600, sigma_milli: 1000 };
        let mut drawn: Vec<i64> = (0..DRAWS).map(|_| lasting.draw(&mut random)).collect();
        drawn.sort_unstable();
        let at = |percent: usize| drawn[drawn.len() * percent / 100];
        assert!((3450..3750).contains(&at(50)), "{}", at(50));
        // One standard deviation more is e times as long: 9786 seconds.
        assert!((9300..10_300).contains(&at(84)), "{}", at(84));
        assert!(drawn[0] >= 1);
        let none = Lasting { median: 60, sigma_milli: 0 };
        assert!((59..=60).contains(&none.draw(&mut random)));
    }

    #[test]
    fn what_makes_no_sense_does_no_harm() {
        let mut random = Random(3);
        for (median, sigma_milli) in
            [(i64::MAX, i64::MAX), (i64::MIN, i64::MIN), (i64::MAX, 0), (0, 0), (1, -4000)]
        {
            for _ in 0..100 {
                assert!(Lasting { median, sigma_milli }.draw(&mut random) >= 1);
            }
        }
        assert!(wait(&mut random, i64::MAX) >= 0);
        assert_eq!(wait(&mut random, 0), 0);
    }
}
