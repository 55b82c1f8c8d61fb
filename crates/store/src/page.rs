//! A page of a listing, and how it is filled: until a limit of entries or of bytes,
//! the same for every engine. A page always holds one entry where there is one, so
//! that a listing comes to its end.

use crate::{
    limits::{PAGE_BYTES_MAX, PART_BYTES},
    txn::{Entry, Revision},
};

/// A consistent part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// The store's revision that the page shows; a watch from here misses nothing.
    pub revision: Revision,
    /// There is more: pass the last entry's key as `after`.
    pub more: bool,
}

#[derive(Debug)]
pub(crate) struct Filling {
    page: Page,
    bytes: usize,
    limit: usize,
}

impl Filling {
    pub(crate) fn new(revision: Revision, limit: usize) -> Filling {
        let page = Page { entries: Vec::new(), revision, more: false };
        Filling { page, bytes: 0, limit }
    }

    /// False once there is no room: the entry is left for the next page.
    pub(crate) fn take(&mut self, entry: Entry) -> bool {
        if self.page.entries.len() >= self.limit || self.bytes >= PAGE_BYTES_MAX {
            self.page.more = true;
            return false;
        }
        self.bytes += PART_BYTES + entry.key.as_str().len() + entry.value.len();
        self.page.entries.push(entry);
        true
    }

    pub(crate) fn done(self) -> Page {
        self.page
    }
}
