extern crate std;
use super::*;
use proptest::prelude::*;
use std::vec::Vec;

fn rates() -> Range {
    Range::log_uniform(1e-6, 1e-3).unwrap()
}

#[test]
fn a_range_that_cannot_be_is_an_error() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    for (low, high) in [(1.0, 0.5), (nan, 1.0), (0.0, nan), (0.0, inf), (-inf, 0.0), (-1e308, 1e308)] {
        assert!(Range::uniform(low, high).is_err(), "{low}..{high}");
        assert!(Range::log_uniform(low, high).is_err(), "{low}..{high}");
    }
    let zero = Range::log_uniform(0.0, 1.0).unwrap_err();
    assert_eq!(zero, ValueError { argument: "low", value: 0.0 }.into());
    assert!(Range::integer(0, 4).is_err() && Range::integer(5, 4).is_err() && Range::integer(4, 4).is_ok());
}

/// Sixteen bins of 16,000 trials each, for every parameter, and 8 x 8 bins for pairs of neighbours: each count within 5
/// standard deviations of what is expected.
#[test]
fn draws_are_uniform_and_independent() {
    let range = Range::uniform(0.0, 1.0).unwrap();
    for seed in [0, 1, 3, u64::MAX] {
        let u: Vec<[f64; 3]> =
            (0..16_000).map(|trial| [0, 1, 2].map(|place| range.draw(seed, trial, place))).collect();
        let bin = |u: f64, bins: usize| (u * bins as f64) as usize;
        let even = |counts: &[u32], what: &str| {
            let expected = 16_000.0 / counts.len() as f64;
            for (i, count) in counts.iter().enumerate() {
                let off = (f64::from(*count) - expected).abs() / expected.sqrt();
                assert!(off < 5.0, "seed {seed}, {what}, bin {i}: {count} of {expected}");
            }
        };
        for place in 0..3 {
            let mut counts = [0; 16];
            u.iter().for_each(|u| counts[bin(u[place], 16)] += 1);
            even(&counts, "one");
            // One trial and the next.
            let mut counts = [0; 64];
            u.windows(2).for_each(|u| counts[8 * bin(u[0][place], 8) + bin(u[1][place], 8)] += 1);
            even(&counts, "trials");
            // One parameter and the next.
            let mut counts = [0; 64];
            u.iter().for_each(|u| counts[8 * bin(u[place], 8) + bin(u[(place + 1) % 3], 8)] += 1);
            even(&counts, "parameters");
        }
    }
}

/// Journals hold values that are drawn again when a search goes on: they may not change, ever.
#[test]
fn draws_never_change() {
    assert_eq!(rates().draw(1, 0, 0), PINNED[0]);
    assert_eq!(rates().draw(1, 17, 1), PINNED[1]);
    assert_eq!(Range::integer(16, 1024).unwrap().draw(7, 3, 0), PINNED[2]);
}
const PINNED: [f64; 3] = [2.9132203758462466e-5, 3.422069001768648e-5, 598.0];

#[test]
fn whole_numbers_are_likelier_where_they_are_small() {
    let widths = Range::integer(1, 4).unwrap();
    let mut counts = [0.0f64; 5];
    (0..40_000).for_each(|trial| counts[widths.draw(3, trial, 0) as usize] += 1.0);
    // The nearest of exp(u ln 4): ln 1.5, ln (2.5 / 1.5), ln (3.5 / 2.5), ln (4 / 3.5).
    let bounds: [f64; 5] = [1.0, 1.5, 2.5, 3.5, 4.0];
    assert_eq!(counts[0], 0.0);
    for n in 1..5 {
        let share = (bounds[n] / bounds[n - 1]).ln() / 4f64.ln();
        assert!((counts[n] / 40_000.0 - share).abs() < 0.012, "{n}: {} of {share}", counts[n]);
    }
}

#[test]
fn what_matters_narrows_and_what_does_not_stays() {
    let (narrow, edge) = rates().refine(&[1e-4, 5e-5, 2e-4]);
    assert_eq!(edge, None);
    assert!(narrow.low() > 3e-5 && narrow.low() < 5e-5, "{narrow:?}");
    assert!(narrow.high() < 3e-4 && narrow.high() > 2e-4, "{narrow:?}");
    let (wide, edge) = rates().refine(&[1e-4, 1.1e-6, 9e-4]);
    assert_eq!((wide, edge), (rates(), None));
    assert_eq!(rates().refine(&[]), (rates(), None));
    assert_eq!(rates().refine(&[f64::NAN]), (rates(), None));
}

#[test]
fn an_edge_is_widened_on_its_side_only() {
    let (next, edge) = rates().refine(&[9e-4, 1e-4]);
    assert_eq!(edge, Some(Edge::High));
    // A quarter of three decades.
    assert!((next.high() / 1e-3 - 10f64.powf(0.75)).abs() < 1e-9, "{next:?}");
    assert!(next.low() > 5e-5);
    // Another one of the best at an edge is no reason.
    let (next, edge) = rates().refine(&[1e-4, 9e-4]);
    assert_eq!((next.high(), edge), (1e-3, None));
    let (next, edge) = Range::uniform(0.0, 0.5).unwrap().refine(&[0.0]);
    assert_eq!((next.low(), edge), (-0.125, Some(Edge::Low)));
    assert_eq!(next.within(0.0, 0.95), Range::uniform(0.0, 0.025).unwrap());
    let (next, edge) = Range::integer(16, 64).unwrap().refine(&[64.0]);
    assert_eq!((next.high(), edge), (91.0, Some(Edge::High)));
    // One value has no edge.
    let fixed = Range::uniform(2.0, 2.0).unwrap();
    assert_eq!(fixed.refine(&[2.0]), (fixed, None));
}

#[test]
fn a_grid_is_even_and_within_its_limits() {
    let counts = |trials, limits: &[usize]| {
        let mut counts = std::vec![0; limits.len()];
        let points = grid_counts(trials, limits, &mut counts).unwrap();
        assert_eq!(points, counts.iter().product());
        counts
    };
    let free = usize::MAX;
    assert_eq!(counts(9, &[free, free]), [3, 3]);
    assert_eq!(counts(12, &[free, free]), [4, 3]);
    assert_eq!(counts(5, &[free]), [5]);
    assert_eq!(counts(1, &[free, free, free]), [1, 1, 1]);
    assert_eq!(counts(30, &[free, 2]), [15, 2]);
    assert_eq!(counts(100, &[2, 3]), [2, 3]);
    assert_eq!(counts(7, &[]), [0; 0]);
    assert!(grid_counts(0, &[free], &mut [1]).is_err() && grid_counts(1, &[free], &mut []).is_err());
    assert_eq!(Range::integer(3, 5).unwrap().points(), 3);
}

#[test]
fn halving_ends_with_all_epochs() {
    let rungs = |trials, epochs, eta| {
        let halving = Halving::new(trials, epochs, eta).unwrap();
        let rungs = (0..halving.rungs()).map(|index| halving.rung(index));
        rungs.map(|rung| (rung.trials, rung.epochs)).collect::<Vec<_>>()
    };
    assert_eq!(rungs(60, 10, 3), [(60, 1), (20, 3), (6, 10)]);
    assert_eq!(rungs(16, 16, 2), [(16, 1), (8, 2), (4, 4), (2, 8), (1, 16)]);
    assert_eq!(rungs(2, 100, 3), [(2, 100)]);
    assert_eq!(rungs(100, 1, 3), [(100, 1)]);
    assert_eq!(Halving::none(5, 7).rung(3), Rung { trials: 5, epochs: 7 });
    assert!(
        Halving::new(0, 1, 2).is_err() && Halving::new(1, 0, 2).is_err() && Halving::new(1, 1, 1).is_err()
    );
}

proptest! {
    #[test]
    fn values_stay_within_and_come_back(
        low in 1e-9f64..1e3, factor in 1.0f64..1e6, u in -0.5f64..1.5, log: bool, whole: bool,
    ) {
        let range = match (log, whole) {
            (_, true) => Range::integer(low as u32 + 1, (low * factor) as u32 + 1),
            (true, false) => Range::log_uniform(low, low * factor),
            (false, false) => Range::uniform(low, low * factor),
        }.unwrap();
        let value = range.at(u);
        prop_assert!((range.low()..=range.high()).contains(&value));
        if !whole && range.low() < range.high() * 0.999 {
            prop_assert!((range.position(value) - u.clamp(0.0, 1.0)).abs() < 1e-6);
        }
        let (next, _) = range.refine(&[value]);
        prop_assert!(next.checked().is_ok() && next.low() <= value && value <= next.high(), "{next:?}");
    }

    #[test]
    fn every_point_of_a_grid_comes_once(trials in 1usize..200, limits in proptest::collection::vec(1usize..9, 1..4)) {
        let mut counts = std::vec![0; limits.len()];
        let points = grid_counts(trials, &limits, &mut counts).unwrap();
        prop_assert!(points <= trials && counts.iter().zip(&limits).all(|(count, limit)| count <= limit));
        let mut seen: Vec<Vec<usize>> =
            (0..points).map(|i| (0..limits.len()).map(|axis| grid_place(i, &counts, axis)).collect()).collect();
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len(), points);
    }
}
