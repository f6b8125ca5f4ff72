//! Counts heap allocations: the promise that a step makes none is measured in every run.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often memory was asked for during `work`, by any thread, and what `work` returns.
pub(crate) fn count<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let region = Region::new(ALLOCATOR);
    let result = work();
    let change = region.change();
    ((change.allocations + change.reallocations) as u64, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_counted() {
        // Other tests run beside this one: at least as many.
        let (count, values) = count(|| {
            let mut values = vec![1u8; 10];
            values.reserve_exact(1000);
            (values, Box::new(2u8))
        });
        assert!(count >= 3, "{count}");
        assert_eq!((values.0.len(), *values.1), (10, 2));
    }
}
