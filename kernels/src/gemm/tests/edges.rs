//! Where blocks end and where paths part, and one more and one less.

use super::exact::Exact;
use super::*;

/// One less, and one more.
fn about<const N: usize>(edges: [usize; N]) -> impl Iterator<Item = usize> {
    edges.into_iter().flat_map(|edge| edge - 1..=edge + 1)
}

fn check<T: Element>(shapes: impl Iterator<Item = (usize, usize, usize)>) {
    for (seed, (m, n, k)) in shapes.enumerate() {
        Exact::<T>::new(m, n, k).check_layouts(seed);
    }
}

/// With B's rows so many bytes apart, by way of rows of A as they lie.
fn check_rows_apart<T: Element>(bytes: usize, shapes: impl Iterator<Item = (usize, usize, usize)>) {
    check_apart::<T>(1, bytes, shapes);
}

/// With the rows of A (0) or B (1) so many bytes apart, one element more and one less.
fn check_apart<T: Element>(which: usize, bytes: usize, shapes: impl Iterator<Item = (usize, usize, usize)>) {
    for (seed, (m, n, k)) in shapes.enumerate() {
        let mut exact = Exact::<T>::new(m, n, k);
        for more in [1, 0, 2] {
            exact.case.lays[which] = Rows(bytes / size_of::<T>() + more - 1 - [k, n][which]);
            exact.case.beta = T::from((seed % 2) as u8);
            exact.case.offset = seed + more;
            exact.check();
        }
    }
}

#[test]
fn heights_of_tiles() {
    let shapes = || {
        let few =
            about([3, 4, 6, 8, 12, 14, 17, 24, 36, 144]).flat_map(|m| [5, 18, 40, 66].map(|n| (m, n, 3)));
        // Too many steps for what is tiny.
        few.chain(about([4, 6, 12, 36]).flat_map(|m| [5, 18, 40].map(|n| (m, n, 66))))
    };
    check::<f32>(shapes());
    check::<f64>(shapes());
}

/// Rows of B that the first tile of a panel packs, one block of rows of A and two: groups of steps and steps left over, and last
/// panels whose rows can and cannot be read past their ends.
#[test]
fn panels_packed_by_tiles() {
    let shapes = || {
        [37, 64, 144, 150].into_iter().flat_map(|m| {
            [1, 3, 4, 5, 8, 11, 70].into_iter().flat_map(move |k| [3, 8, 9, 20, 33].map(|n| (m, n, k)))
        })
    };
    check::<f32>(shapes());
    check::<f64>(shapes());
    check_rows_apart::<f32>(4096, [(15, 20, 9), (37, 7, 8), (150, 33, 6)].into_iter());
    check_rows_apart::<f64>(4096, [(15, 11, 9), (37, 3, 8), (150, 17, 6)].into_iter());
}

#[test]
fn widths_of_panels() {
    let shapes = || {
        let few = about([16, 32, 48, 64, 80, 96, 128]).flat_map(|n| [1, 3, 5, 13].map(|m| (m, n, 4)));
        few.chain(about([1024]).flat_map(|n| [2, 5].map(|m| (m, n, 2))))
    };
    check::<f32>(shapes());
    check::<f64>(shapes());
    // Packed, of one block of rows and of two: what is left beside the widest panels goes by other widths.
    let shapes = || about([40, 48, 80, 96]).flat_map(|n| [(18, n, 140), (150, n, 5)]);
    check::<f32>(shapes());
    check::<f64>(shapes());
}

#[test]
fn depths_of_blocks() {
    let shapes = || about([512, 1024]).flat_map(|k| [(2, 3, k), (5, 1, k), (2, 66, k), (7, 17, k)]);
    check::<f32>(shapes());
    check::<f64>(shapes());
}

/// One row, two and three at once, whole widths and less; from near and from afar, and where B's rows fall on the same lines of a cache.
#[test]
fn few_rows() {
    let shapes = || {
        let wide = about([16, 32, 64, 80]).flat_map(|n| [1, 4, 7, 515].map(|k| (n, k)));
        let more = wide.flat_map(|(n, k)| [(2, n, k), (3, n, k)]);
        // Every width of a tile of one row, and two tiles.
        more.chain((0..9).flat_map(|blocks| [(1, 16 * blocks + 15, 7), (1, 8 * blocks + 8, 515)]))
    };
    check::<f32>(shapes());
    check::<f64>(shapes());
    check_rows_apart::<f32>(2048, about([256]).map(|k| (1, 130, k)));
    check_rows_apart::<f64>(2048, about([256]).map(|k| (1, 70, k)));
    check_rows_apart::<f32>(4096, about([512]).flat_map(|k| [(2, 70, k), (3, 70, k)]));
    check_rows_apart::<f64>(4096, about([512]).flat_map(|k| [(2, 35, k), (3, 35, k)]));
    // More rows than that: one tile, and two.
    let shapes = || (2..=8).flat_map(|m| [(m, 20, 9), (m, 70, 9)]);
    check_rows_apart::<f32>(4096, shapes());
    check_rows_apart::<f64>(4096, shapes());
}

/// A single column: rows by blocks, some at once and alone, columns of A by several blocks, one and less; groups of steps and what is left
/// of them; A from near and from afar.
#[test]
fn single_columns() {
    let rows = || about([4, 8, 16, 24, 64, 128, 192]);
    let shapes = || rows().flat_map(|m| [1, 7, 16, 33, 70].map(|k| (m, 1, k)));
    check::<f32>(shapes());
    check::<f64>(shapes());
    check_apart::<f32>(0, 32 << 10, about([16, 24]).map(|m| (m, 1, 40)));
    check_apart::<f64>(0, 32 << 10, about([16, 24]).map(|m| (m, 1, 20)));
}

/// Contiguous columns of B, squares of which are turned: whole ones and parts, for few rows and packed, one block of k and two.
#[test]
fn squares() {
    let sides = || about([8, 16, 32]).flat_map(|n| about([8, 16, 32]).map(move |k| (n, k)));
    let shapes = || sides().flat_map(|(n, k)| [1, 2, 4, 5, 8, 9].map(|m| (m, n, k)));
    check::<f32>(shapes());
    check::<f64>(shapes());
    let deep = || about([1024]).flat_map(|k| [(1, 19, k), (3, 9, k), (8, 19, k)]);
    check::<f32>(deep());
    check::<f64>(deep());
}

/// B beyond L1, whose rows the first tile of a panel asks for: as many rows of A as have such a tile, and as have none.
#[test]
fn rows_from_afar() {
    check::<f32>(about([5, 8, 14]).map(|m| (m, 130, 130)));
    check::<f64>(about([5, 8, 14]).map(|m| (m, 66, 130)));
}

/// Rows of A that are packed because they fall on the same lines; and a C beyond L2, whose rows tiles ask for and which goes by a few rows at a
/// time, and one of too few or too many steps for that.
#[test]
fn what_does_not_stay_in_cache() {
    let shapes = || about([144]).flat_map(|m| about([1024]).map(move |n| (m, n, 5)));
    check_apart::<f32>(0, 4096, shapes());
    check_apart::<f64>(0, 4096, shapes());
    check::<f32>(about([33]).chain([64, 65]).map(|k| (150, 900, k)));
    check::<f64>(about([33]).chain([64, 65]).map(|k| (150, 450, k)));
}

/// Second blocks of all three loops, with A packed and not.
#[test]
fn blocks_of_blocks() {
    check::<f32>([(5, 1030, 515), (146, 19, 520), (150, 130, 20), (290, 1030, 2)].into_iter());
    check::<f64>([(4, 1026, 513), (146, 17, 515), (146, 140, 9)].into_iter());
}

#[test]
fn products_that_are_tiny() {
    let shapes = || {
        let few = [(32, 7, 32), (33, 9, 32), (32, 15, 33), (4, 31, 32), (3, 32, 32), (4, 33, 31)];
        // Every number of rows that tiles have, of rows that fill a quarter of a block, half, one and two.
        let rows = (1..=17).flat_map(|m| about([2, 4, 8, 16, 32]).map(move |n| (m, n, 5)));
        few.into_iter().chain(about([8, 16, 32]).map(|n| (32, n, 32))).chain(rows)
    };
    check::<f32>(shapes());
    check::<f64>(shapes());
    // Several strips, and with a last one of up to half a block, more steps: tall tiles and low ones, and all that is too much.
    let shapes = || {
        let rows = about([4, 6, 8, 11, 48]).flat_map(|m| [20, 24, 25, 48].map(move |n| (m, n, 5)));
        let steps = about([32, 64]).flat_map(|k| [12, 20, 25, 64].map(move |n| (7, n, k)));
        let long = [(7, 8, 1024), (4, 7, 1025), (5, 4, 1025), (49, 4, 33)];
        rows.chain(steps).chain(long).chain([(9, 63, 2), (9, 64, 2), (9, 65, 2)])
    };
    check::<f32>(shapes());
    check::<f64>(shapes());
}

/// Rows of B 2,048 bytes apart, 12 KB, 20 KB and 1 MB of them, and one element and one row more and less.
#[test]
fn what_stays_in_cache() {
    let shapes = || {
        let small = about([36]).flat_map(|m| about([6]).map(move |k| (m, 17, k)));
        small.chain(about([144]).flat_map(|m| about([10]).map(move |k| (m, 17, k))))
    };
    check_rows_apart::<f32>(2048, shapes());
    check_rows_apart::<f64>(2048, shapes());
    let shapes = || about([512]).flat_map(|k| [(4, 3, k), (9, 17, k)]);
    check_rows_apart::<f32>(2048, shapes());
    check_rows_apart::<f64>(2048, shapes());
}

/// `n k` against `m (n + k)`, equal and one column or row more and less; with scratch that does and does not suffice.
#[test]
fn what_is_turned() {
    fn check<T: Element>() {
        for (m, n, k) in [(8, 16, 16), (4, 8, 8), (6, 10, 15), (3, 4, 12), (2, 3, 6), (24, 48, 48)] {
            for n in [n - 1, n, n + 1] {
                let mut exact = Exact::<T>::new(m, n, k);
                for lays in
                    [[Rows(0), Cols(0), Rows(0)], [Cols(0), Cols(1), Rows(1)], [Rows(0), Rows(0), Cols(0)]]
                {
                    exact.case.lays = lays;
                    exact.check();
                    for level in levels() {
                        let mut laid = exact.case.laid();
                        let expected = laid.run(level);
                        let more = gemm_scratch_len(m, n, k) + gemm_scratch_len(n, m, k);
                        laid.scratch = Placed::new(&std::vec![T::from_f64(f64::NAN); more], 3);
                        assert_same_bits(&laid.run(level), &expected, "more scratch", level);
                    }
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

/// Operands whose rows or columns are one repeated, or overlap.
#[test]
fn any_strides() {
    let strides = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (1, 2), (3, 2), (0, 3), (5, 0)];
    let data: Vec<f32> = (0..600).map(|i| (hash(i, 9) >> 28) as f32 - 7.0).collect();
    for (m, n, k) in [(7, 1, 19), (2, 19, 7), (3, 70, 5), (9, 21, 6), (13, 40, 34), (5, 131, 6)] {
        let mut scratch = std::vec![f32::NAN; gemm_scratch_len(m, n, k)];
        for (s, a_strides) in strides.into_iter().enumerate() {
            for (t, b_strides) in strides.into_iter().enumerate() {
                let alpha = if (s + t) % 3 == 0 { 2.0 } else { 1.0 };
                let a = MatRef::strided(&data, m, k, a_strides.0, a_strides.1);
                let b = MatRef::strided(&data[20..], k, n, b_strides.0, b_strides.1);
                for level in levels() {
                    let mut c = std::vec![f32::NAN; m * n];
                    scratch.fill(f32::NAN);
                    gemm(level, alpha, a, b, 0.0, MatMut::row_major(&mut c, m, n), &mut scratch).unwrap();
                    for (i, c) in c.iter().enumerate() {
                        let (i, j) = (i / n, i % n);
                        let at = |x: &[f32], (row, col): (usize, usize), i, j| x[i * row + j * col];
                        let products =
                            (0..k).map(|p| at(&data, a_strides, i, p) * at(&data[20..], b_strides, p, j));
                        let expected: f32 = products.sum();
                        let what = (m, n, k, a_strides, b_strides);
                        assert_eq!(*c, alpha * expected, "{what:?} at {}: {i}, {j}", level.name());
                    }
                }
            }
        }
    }
}

/// A stride that no element is reached by may be any.
#[test]
fn strides_of_single_rows_and_columns() {
    const MOST: usize = usize::MAX;
    let (x, y) = ([1.0f32, 2.0, 3.0], [1.0f32; 60]);
    for level in levels() {
        for alpha in [1.0, 2.0] {
            for stride in [0, 1, 5, MOST] {
                let mut scratch = [0.0; gemm_scratch_len(40, 40, 40)];
                let row = MatRef::strided(&x, 1, 3, stride, 1);
                let column = MatRef::strided(&x, 3, 1, 1, stride);
                for b in [MatRef::row_major(&y, 3, 20), MatRef::row_major(&y, 20, 3).t()] {
                    for steps in [1, 2] {
                        let mut c = [f32::NAN; 40];
                        let to = MatMut::strided(&mut c, 1, 20, stride, steps);
                        gemm(level, alpha, row, b, 0.0, to, &mut scratch).unwrap();
                        assert!(c.iter().step_by(steps).take(20).all(|c| *c == 6.0 * alpha));
                        let mut c = [f32::NAN; 40];
                        let to = MatMut::strided(&mut c, 20, 1, steps, stride);
                        gemm(level, alpha, b.t(), column, 0.0, to, &mut scratch).unwrap();
                        assert!(c.iter().step_by(steps).take(20).all(|c| *c == 6.0 * alpha));
                    }
                }
                let mut c = [f32::NAN; 9];
                let (a, b) = (column, MatRef::strided(&x, 1, 3, stride, 1));
                gemm(level, alpha, a, b, 0.0, MatMut::row_major(&mut c, 3, 3), &mut scratch).unwrap();
                assert_eq!(c, [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 3.0, 6.0, 9.0].map(|c| c * alpha));
            }
        }
    }
}
