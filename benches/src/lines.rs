//! An allocator whose memory starts at cache lines: where operands happen to lie is then no part of a comparison.
#![allow(unsafe_code, reason = "an allocator's interface is unsafe")]

use core::alloc::{GlobalAlloc, Layout};
use std::alloc::System;

/// The system's memory, from a cache line on.
#[derive(Debug)]
pub struct Lines;

/// The same request, aligned to a line of 64 bytes at least.
fn of_lines(layout: Layout) -> Layout {
    layout.align_to(64).unwrap_or(layout)
}

// SAFETY: the system's allocator, asked for the same alignment when it gives memory and when it takes it back.
unsafe impl GlobalAlloc for Lines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(of_lines(layout)) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: it came from `alloc` with this layout.
        unsafe { System.dealloc(memory, of_lines(layout)) }
    }
}
