//! Hyper-parameter search: draws, refines, and finds the middle of a range that it knows to be best.

use core::hint::black_box;

use slicewise::Error;
use slicewise::search::{Halving, Range, exploded, grid_counts, grid_place};

use crate::{hide, say};

/// Searches for 1e-3; true where it is found.
pub fn run() -> bool {
    let found = search() == Ok(true);
    if !found {
        say(c"the search does not find its value");
    }
    found
}

fn search() -> Result<bool, Error> {
    let mut range = Range::log_uniform(black_box(1e-6), black_box(1e3))?;
    let (mut values, mut counts) = ([0.0; 60], [0; 2]);
    let (values, counts) = (hide(&mut values), hide(&mut counts));
    for round in 0..black_box(8) {
        for (trial, value) in (0..).zip(values.iter_mut()) {
            *value = range.draw(black_box(1), round * 60 + trial, black_box(0));
        }
        let off = |value: &f64| (range.position(*value) - range.position(1e-3)).abs();
        let best = values.iter().copied().min_by(|a, b| off(a).total_cmp(&off(b)));
        (range, _) = range.refine(best.as_slice());
        range = range.within(black_box(1e-9), black_box(1e9));
    }
    let limits = [range.points(), Range::integer(black_box(1), black_box(3))?.points()];
    let points = grid_counts(black_box(10), &limits, counts)?;
    let point = range.point(grid_place(black_box(7), counts, black_box(0)), black_box(3));
    let halving = Halving::new(black_box(27), black_box(9), black_box(3))?;
    Ok((range.low()..=range.high()).contains(&1e-3)
        && range.high() < 2.0 * range.low()
        && points == 9
        && point == range.at(black_box(0.5))
        && range.edge(point).is_none()
        && halving.rung(black_box(halving.rungs())).epochs == 9
        && !exploded(black_box(1.0), black_box(2.0)))
}
