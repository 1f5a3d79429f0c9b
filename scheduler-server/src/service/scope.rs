//! Which namespaces a list is of, and lists of several put together.
//!
//! A caller who may see some namespaces only gets, for `-`, a page of each, of which the first of all are shown: lists stay
//! walks down an index, and the ledger knows nothing of callers.

use ledger::PageOf;
use scheduler_core::Violations;

use super::Call;
use crate::access::Reach;

/// The namespaces of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    /// Ascending.
    Of(Vec<String>),
}

impl Scope {
    /// What a request means by `namespace`; `-` is all that the caller may see.
    pub(super) fn read(call: &Call, namespace: &str, violations: &mut Violations) -> Self {
        match namespace {
            "" => Self::Of(vec![job_spec::DEFAULT_NAMESPACE.to_owned()]),
            "-" => match call.reach() {
                Reach::All => Self::All,
                Reach::Only(namespaces) => Self::Of(namespaces.into_iter().collect()),
            },
            named => {
                if let Err(description) = job_spec::id(named) {
                    violations.add("namespace", description);
                }
                Self::Of(vec![named.to_owned()])
            }
        }
    }

    pub(super) fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(namespaces) => namespaces.iter().any(|of| of == namespace),
        }
    }

    /// As filters have it, one after the other; `None` is all.
    pub(super) fn each(&self) -> Vec<Option<String>> {
        match self {
            Self::All => vec![None],
            Self::Of(namespaces) => namespaces.iter().cloned().map(Some).collect(),
        }
    }

    /// All of them as one filter, where they are one.
    pub(super) fn single(&self) -> Option<Option<String>> {
        match self {
            Self::All => Some(None),
            Self::Of(namespaces) => match &namespaces[..] {
                [one] => Some(Some(one.clone())),
                _ => None,
            },
        }
    }
}

/// A page of pages, one a namespace.
pub(super) struct Merged<T>(PageOf<T>);

impl<T> Default for Merged<T> {
    fn default() -> Self {
        Self(PageOf { items: Vec::new(), more: false })
    }
}

impl<T> Merged<T> {
    pub(super) fn add(&mut self, page: PageOf<T>) {
        self.0.more |= page.more;
        self.0.items.extend(page.items);
    }

    /// The first `size` in the order of the list.
    pub(super) fn page<K: Ord>(mut self, size: u32, order: impl FnMut(&T) -> K) -> PageOf<T> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.0.items.sort_by_cached_key(order);
        self.0.more |= self.0.items.len() > size;
        self.0.items.truncate(size);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_several_namespaces_neither_skip_nor_repeat() {
        let lists = [vec![9, 6, 3], vec![8, 2], vec![], vec![7, 5, 4, 1]];
        for size in 1..=4 {
            let (mut seen, mut after) = (Vec::new(), i32::MAX);
            loop {
                let mut merged = Merged::default();
                for list in &lists {
                    let rest: Vec<i32> = list.iter().copied().filter(|item| *item < after).collect();
                    let items: Vec<i32> = rest.iter().copied().take(size as usize).collect();
                    merged.add(PageOf { more: rest.len() > items.len(), items });
                }
                let page = merged.page(size, |item| std::cmp::Reverse(*item));
                after = *page.items.last().unwrap();
                seen.extend(page.items);
                if !page.more {
                    break;
                }
            }
            assert_eq!(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1], "pages of {size}");
        }
    }
}
