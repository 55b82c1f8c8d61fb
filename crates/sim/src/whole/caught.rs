//! Panics of a run, as its violations: those of tasks, which are caught where they run,
//! and those of the run itself. Other threads' panics go their usual way.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static CAUGHT: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// None where the run itself panicked.
pub(super) fn panics<T>(run: impl FnOnce() -> T) -> (Option<T>, Vec<String>) {
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let caught = CAUGHT.with_borrow_mut(|caught| {
                caught.as_mut().map(|caught| caught.push(info.to_string())).is_some()
            });
            if !caught {
                usual(info);
            }
        }));
    });
    CAUGHT.set(Some(Vec::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(run)).ok();
    (result, CAUGHT.take().unwrap_or_default())
}
