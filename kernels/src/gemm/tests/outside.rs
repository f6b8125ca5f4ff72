//! What must not be read, what must not be written, and what must not matter: C where beta is 0, A and B where alpha is,
//! what scratch holds, everything where there is an error.

use super::*;

/// Every path, with C by rows, by columns and neither, at every level.
fn on_every_path(f: impl Fn(&mut Case<f32>, Level)) {
    for (seed, (m, n, k, b)) in PATHS.into_iter().enumerate() {
        for (l, c) in each([Rows(1), Cols(0), Sparse], seed) {
            let mut case = Case::random((m, n, k), seed as u64);
            case.lays = [[Rows(0), Rows(2), Cols(1)][l], b, c];
            case.offset = seed + l;
            for level in levels() {
                f(&mut case, level);
            }
        }
    }
}

#[test]
fn beta_0_does_not_read_c() {
    on_every_path(|case, level| {
        for alpha in [1.0, -0.75, 0.0] {
            (case.alpha, case.beta) = (alpha, 0.0);
            case.c.fill(0.0);
            let expected = case.run(level);
            case.c.fill(f32::NAN);
            assert_same_bits(&case.run(level), &expected, "NaN in C", level);
        }
    });
}

#[test]
fn nan_in_c_stays() {
    on_every_path(|case, level| {
        for (alpha, beta) in [(1.0, 1.0), (1.0, -2.0), (0.5, 1.0), (0.0, 1.0), (0.0, 3.0)] {
            (case.alpha, case.beta) = (alpha, beta);
            let nan = |i: usize| hash(i, 77).is_multiple_of(5);
            for (i, c) in case.c.iter_mut().enumerate() {
                *c = if nan(i) { f32::NAN } else { 1.0 };
            }
            for (i, c) in case.run(level).into_iter().enumerate() {
                assert_eq!(c.is_nan(), nan(i), "element {i} at {}: {c}", level.name());
            }
        }
    });
}

#[test]
fn alpha_0_does_not_read_a_and_b() {
    on_every_path(|case, level| {
        case.a.fill(f32::NAN);
        case.b.fill(f32::INFINITY);
        case.alpha = 0.0;
        for beta in [0.0, 1.0, -3.0] {
            case.beta = beta;
            let expected: Vec<f32> =
                case.c.iter().map(|c| if beta == 0.0 { 0.0 } else { beta * c }).collect();
            assert_same_bits(&case.run(level), &expected, "alpha 0", level);
        }
    });
}

#[test]
fn no_steps_are_a_sum_of_nothing() {
    for (m, n) in [(1, 1), (7, 1), (2, 33), (9, 20), (40, 70)] {
        for beta in [0.0, 1.0, -3.0] {
            let mut case = Case { beta, ..Case::<f64>::random((m, n, 0), 1) };
            let expected: Vec<f64> =
                case.c.iter().map(|c| if beta == 0.0 { 0.0 } else { beta * c }).collect();
            // Rows of nothing, with gaps between them: all but the first lie past the end of their slice.
            for gap in [0, 3] {
                case.lays[0] = Rows(gap);
                for level in levels() {
                    assert_same_bits(&case.run(level), &expected, "k = 0", level);
                }
            }
        }
    }
}

#[test]
fn what_scratch_holds_and_where_it_lies_does_not_matter() {
    on_every_path(|case, level| {
        for alpha in [1.0, 3.0] {
            case.alpha = alpha;
            let mut laid = case.laid();
            let expected = laid.run(level);
            assert_same_bits(&laid.run_on_dirty_scratch(level), &expected, "what is left", level);
            laid.scratch.get_mut().fill(-1e30);
            assert_same_bits(&laid.run_on_dirty_scratch(level), &expected, "-1e30", level);
        }
    });
    for (m, n, k, b) in PATHS {
        let case = Case { lays: [Cols(0), b, Rows(0)], ..Case::<f32>::random((m, n, k), 5) };
        for level in levels() {
            let mut laid = case.laid();
            let expected = laid.run(level);
            for offset in [1, 2, 3, 5, 8, 13, 15, 16] {
                laid.scratch = Placed::new(laid.scratch.get(), offset);
                assert_same_bits(&laid.run(level), &expected, "scratch moved", level);
            }
        }
    }
}

#[test]
fn errors_leave_c_untouched() {
    let (a, b, mut c, mut scratch) = ([1.0f32; 6], [1.0; 6], [7.0; 4], [0.0; gemm_scratch_len(2, 2, 3)]);
    let mut run =
        |a: MatRef<'_, f32>, b: MatRef<'_, f32>, rows: usize, stride: usize, scratch: &mut [f32]| {
            let error =
                gemm(Level::detect(), 1.0, a, b, 0.0, MatMut::strided(&mut c, rows, 2, stride, 1), scratch)
                    .unwrap_err();
            assert_eq!(c, [7.0; 4]);
            (error.argument, error.expected, error.actual)
        };
    let (good_a, good_b) = (MatRef::row_major(&a, 2, 3), MatRef::row_major(&b, 3, 2));
    assert_eq!(run(good_a, good_b.t(), 2, 2, &mut scratch), ("b's rows", 3, 2));
    assert_eq!(run(good_a, good_b, 1, 2, &mut scratch), ("c's rows", 2, 1));
    assert_eq!(run(MatRef::row_major(&a[..5], 2, 3), good_b, 2, 2, &mut scratch), ("a", 6, 5));
    assert_eq!(run(good_a, good_b, 2, 1, &mut scratch), ("c's larger stride", 2, 1));
    assert_eq!(run(good_a, good_b, 2, 3, &mut scratch), ("c", 5, 4));
    let short = gemm_scratch_len(2, 2, 3) - 1;
    assert_eq!(run(good_a, good_b, 2, 2, &mut scratch[..short]), ("scratch", short + 1, short));
    let huge = MatRef::strided(&a, 2, 3, usize::MAX, 1);
    assert_eq!(run(huge, good_b, 2, 2, &mut scratch), ("a", usize::MAX, 6));
}
