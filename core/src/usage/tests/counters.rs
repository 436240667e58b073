//! Actual use.

use proptest::prelude::*;

use super::*;

fn reading(container_start: &str, at: &str, value: i128) -> Reading {
    Reading { container_start: time(container_start), at: time(at), value }
}

#[test]
fn a_reset_starts_from_the_new_value() {
    let first = reading("10:00:00", "10:04:00", 500);
    let of = |previous: Option<&Reading>, next: &Reading| {
        increase(previous, next).map(|found| (found.span.from, found.span.to, found.amount))
    };
    let (start, at) = (time("10:00:00"), time("10:04:00"));
    assert_eq!(of(None, &first), Some((start, at, 500)));
    let second = reading("10:00:00", "10:06:00", 800);
    assert_eq!(of(Some(&first), &second), Some((at, second.at, 300)));
    // The container started again: what it counts is new.
    let again = reading("10:05:00", "10:06:00", 700);
    assert_eq!(of(Some(&first), &again), Some((time("10:05:00"), again.at, 700)));
    // It fell without a start: the same.
    let fell = reading("10:00:00", "10:06:00", 20);
    assert_eq!(of(Some(&first), &fell), Some((at, fell.at, 20)));
    // A start before the last reading, and one after this reading.
    let early = reading("10:03:00", "10:06:00", 9);
    assert_eq!(of(Some(&first), &early), Some((at, early.at, 9)));
    let skewed = reading("10:07:00", "10:06:00", 9);
    assert_eq!(of(Some(&first), &skewed), Some((time("10:05:59"), skewed.at, 9)));
    // Repeated, older, or nothing.
    assert_eq!(of(Some(&second), &second), None);
    assert_eq!(of(Some(&second), &first), None);
    assert_eq!(of(Some(&first), &reading("10:00:00", "10:06:00", 500)), None);
}

#[test]
fn a_gap_is_spread_by_largest_remainder() {
    assert_eq!(spread(10, &[1, 1, 1]), [4, 3, 3]);
    assert_eq!(spread(11, &[1, 1, 1]), [4, 4, 3]);
    assert_eq!(spread(7, &[3, 1, 0]), [5, 2, 0]);
    assert_eq!(spread(-10, &[1, 1, 1]), [-4, -3, -3]);
    assert_eq!(spread(5, &[0, 0]), [5, 0]);
    assert_eq!(spread(5, &[]), [0; 0]);
    assert_eq!(spread(i128::MAX, &[u32::MAX, u32::MAX]).iter().sum::<i128>(), i128::MAX);
    let span = Span::new(time("10:04:00"), time("10:12:00"));
    let parts = over_buckets(&Increase { span, amount: 100 });
    let parts: Vec<_> = parts.iter().map(|(bucket, part)| (bucket.start(), *part)).collect();
    // 60, 300 and 120 of 480 seconds: 12.5, 62.5 and 25.
    assert_eq!(parts, [(time("10:00:00"), 13), (time("10:05:00"), 62), (time("10:10:00"), 25)]);
    assert_eq!((showback(3, 5), showback(5, 3)), (5, 5));
}

proptest! {
    #[test]
    fn the_parts_are_the_total(
        total in any::<i64>(),
        weights in prop::collection::vec(any::<u32>(), 1..20),
    ) {
        let total = i128::from(total);
        let parts = spread(total, &weights);
        prop_assert_eq!(parts.iter().sum::<i128>(), total);
        let sum: i128 = weights.iter().copied().map(i128::from).sum();
        for (part, weight) in parts.iter().zip(&weights) {
            // Less than one unit from the exact share.
            if sum > 0 {
                prop_assert!((part * sum - total * i128::from(*weight)).abs() < sum);
            }
        }
    }
}
