//! The word that was probably meant.

/// Words longer than this get no suggestion; the work grows with the square.
const LENGTH_MAXIMUM: usize = 64;

/// The candidate nearest to a word, where one is near enough to be a slip of the fingers:
/// at most a third of the word's characters inserted, dropped, replaced or swapped with
/// their neighbour, and at most three. Of equally near ones the first. Case does not
/// count.
pub fn nearest<S: AsRef<str>>(word: &str, candidates: impl IntoIterator<Item = S>) -> Option<S> {
    let word: Vec<char> = word.to_lowercase().chars().take(LENGTH_MAXIMUM + 1).collect();
    if word.len() > LENGTH_MAXIMUM {
        return None;
    }
    let allowed = (word.len() / 3).clamp(1, 3);
    let mut best: Option<(usize, S)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.as_ref().to_lowercase().chars().collect();
        // One letter alone is near to every other letter.
        if letters.len().abs_diff(word.len()) > allowed || letters.len().min(word.len()) < 2 {
            continue;
        }
        let distance = distance(&word, &letters);
        if distance <= allowed && best.as_ref().is_none_or(|(least, _)| distance < *least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The optimal string alignment distance: insertions, deletions, replacements and swaps
/// of neighbours, each counted as one.
fn distance(from: &[char], to: &[char]) -> usize {
    // Rows of the usual table: what it takes to make each beginning of `to` out of the
    // beginnings of `from` that end one and two characters earlier.
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    let mut last_letter = None;
    for (row, letter) in from.iter().enumerate() {
        let mut current = Vec::with_capacity(previous.len());
        let mut left = row + 1;
        current.push(left);
        let mut last_target = None;
        for (column, target) in to.iter().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&previous, column) + usize::from(letter != target);
            let mut least = replaced.min(at(&previous, column + 1) + 1).min(left + 1);
            let is_swap = last_letter == Some(target) && last_target == Some(letter);
            if let (true, Some(index)) = (is_swap, column.checked_sub(1)) {
                least = least.min(at(&before, index) + 1);
            }
            current.push(least);
            left = least;
            last_target = Some(target);
        }
        before = std::mem::replace(&mut previous, current);
        last_letter = Some(letter);
    }
    previous.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIELDS: [&str; 6] = ["name", "display_name", "plan", "seats", "state", "labels.KEY"];

    #[test]
    fn offers_what_was_meant() {
        let cases = [
            ("seat", Some("seats")),
            ("staet", Some("state")),
            ("Plan", Some("plan")),
            ("dispaly_name", Some("display_name")),
            ("diplay_nmae", Some("display_name")),
            ("nmae", Some("name")),
            ("owner", None),
            ("x", None),
            ("", None),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, FIELDS), meant, "{word}");
        }
        assert_eq!(nearest(&"s".repeat(65536), FIELDS), None);
        assert_eq!(nearest("seats", Vec::<&str>::new()), None);
    }

    #[test]
    fn distances() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ];
        for (from, to, expected) in cases {
            let letters = |word: &str| word.chars().collect::<Vec<_>>();
            assert_eq!(distance(&letters(from), &letters(to)), expected, "{from} {to}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_a_measure(a in "[abc]{0,8}", b in "[abc]{0,8}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
            prop_assert!(distance(&a, &b) >= a.len().abs_diff(b.len()));
        }

        #[test]
        fn any_word_gets_an_answer(word in any::<String>()) {
            let _ = nearest(&word, FIELDS);
        }
    }
}
