//! Every public kernel, the trainer and the search in a program that has no `std`, no allocator and no way to panic.
//!
//! That it links is the test:
//! - `std` would bring a panic handler of its own, and there can be only one;
//! - `alloc` would ask for a global allocator, and there is none;
//! - the panic handler calls a function that does not exist, so that one panicking branch that survives
//!   optimisation fails the link.
//!
//! It runs too: it prints the level that it detected, and ends with status 1 where a result is wrong.
#![no_std]
#![no_main]

use core::ffi::{CStr, c_char, c_int};
use core::hint::black_box;
use core::panic::PanicInfo;

use slicewise::kernels::{Level, Parallel};

mod kernels;
mod search;
mod trainer;

// The C library gives the start-up code, and `memcpy` and its kin, which the compiler calls by name.
#[link(name = "c")]
unsafe extern "C" {
    fn puts(line: *const c_char) -> c_int;
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    unsafe extern "C" {
        fn slicewise_can_panic() -> !;
    }
    // SAFETY: never runs, for a program that could call it does not link.
    unsafe { slicewise_can_panic() }
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    let level = Level::detect();
    let name = match level.name() {
        "avx512" => c"level avx512",
        "avx2" => c"level avx2",
        "portable" => c"level portable",
        _ => c"level unknown",
    };
    say(name);

    let right = kernels::run::<f32>(level)
        & kernels::run::<f64>(level)
        & trainer::run::<f32>(level)
        & trainer::run::<f64>(level)
        & search::run();
    c_int::from(!right)
}

/// Runs the second half first, as any pool may.
struct Backwards;

impl Parallel for Backwards {
    fn threads(&self) -> usize {
        black_box(3)
    }

    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        b();
        a();
    }
}

/// Prints a line.
fn say(line: &CStr) {
    // SAFETY: the line ends with a zero.
    unsafe { puts(line.as_ptr()) };
}

/// The slice, its length and place hidden from the optimiser.
fn hide<T>(x: &mut [T]) -> &mut [T] {
    black_box(x)
}
