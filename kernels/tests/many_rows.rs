//! Sums by channel over so many rows that a plain sum would lose a digit.

use slicewise_kernels::{
    AffineGradient, Channels, Level, Saved, batch_norm_backward_in_place, prelu_backward,
};

/// 1024 chains of 256 rows.
const ROWS: usize = 1 << 18;
const CHANNELS: usize = 64;
/// Chain after chain is rounded to the same side: a sum of the chains that is not compensated is off by 174 u, what is promised is 72.
const VALUE: f32 = 0.55;

fn assert_sums(sums: &[f32], what: &str, level: Level) {
    let exact = f64::from(VALUE) * ROWS as f64;
    let bound = 72.0 * 0.5 * f64::from(f32::EPSILON) * exact;
    for sum in sums {
        let error = (f64::from(*sum) - exact).abs();
        assert!(error <= bound, "{what}, {level:?}: {sum} for {exact}, bound {bound}");
    }
}

#[test]
fn the_error_does_not_grow_with_the_rows() {
    let channels = Channels::last(ROWS, CHANNELS);
    for level in [Level::detect(), Level::Portable] {
        let (x, mut dy) = (vec![1.0; channels.len()], vec![VALUE; channels.len()]);
        let (mut dgamma, mut dbeta) = ([0.0; CHANNELS], [0.0; CHANNELS]);
        let saved = Saved { mean: &[0.0; CHANNELS], inv_std: &[1.0; CHANNELS] };
        let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
        batch_norm_backward_in_place(level, channels, &x, &[1.0; CHANNELS], saved, &mut dy, gradient)
            .unwrap();
        assert_sums(&dgamma, "dgamma", level);
        assert_sums(&dbeta, "dbeta", level);
    }
}

#[test]
fn nor_with_one_sum_alone() {
    let channels = Channels::last(ROWS, CHANNELS);
    let level = Level::detect();
    let (x, dy) = (vec![-1.0; channels.len()], vec![-VALUE; channels.len()]);
    let (mut dx, mut dslopes) = (vec![0.0; channels.len()], [0.0; CHANNELS]);
    prelu_backward(level, channels, &x, &[0.25; CHANNELS], &dy, &mut dx, &mut dslopes).unwrap();
    assert_sums(&dslopes, "dslopes", level);
}
