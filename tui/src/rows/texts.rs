//! Texts that many rows have in common: users, templates, nodes.

use std::{collections::HashSet, sync::Arc};

/// So many are kept before it is looked whether all are still needed.
const FEW: usize = 1024;

/// Each text once, however many rows have it.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    known: HashSet<Arc<str>>,
    /// With so many it is looked for those that no row has any more.
    most: usize,
}

impl Default for Texts {
    fn default() -> Self {
        Self { known: HashSet::new(), most: FEW }
    }
}

impl Texts {
    /// Puts the known copy of a text in the place of another one.
    pub(crate) fn share(&mut self, text: &mut Arc<str>) {
        if let Some(known) = self.known.get(text) {
            *text = Arc::clone(known);
            return;
        }
        if self.known.len() >= self.most {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.most = (self.known.len() * 2).max(FEW);
        }
        self.known.insert(Arc::clone(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_become_one() {
        let mut texts = Texts::default();
        let (mut one, mut other): (Arc<str>, Arc<str>) = ("firefox".into(), "firefox".into());
        texts.share(&mut one);
        texts.share(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn what_no_row_has_any_more_is_forgotten() {
        let mut texts = Texts::default();
        for number in 0..10 * FEW {
            texts.share(&mut number.to_string().into());
        }
        assert!(texts.known.len() <= FEW);
    }
}
