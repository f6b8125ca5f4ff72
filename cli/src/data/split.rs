//! One fixed split for data that comes in one piece: the same for every run, whatever its seed.

use rand_core::Rng;
use rand_pcg::Pcg64;

/// The rows of the three parts.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) train: Vec<usize>,
    pub(super) validation: Vec<usize>,
    pub(super) test: Vec<usize>,
}

/// Splits rows so that every class has its share in each part, give or take one row.
///
/// The rows are shuffled with a fixed seed and sorted by class (stably); every `n / test`-th of them goes to the
/// test part, every so many-th of the others to the validation part. The parts are left in shuffled order.
pub(super) fn stratified(labels: &[u32], validation: usize, test: usize) -> Rows {
    let shuffled = permutation(labels.len());
    let mut by_class = shuffled.clone();
    by_class.sort_by_key(|&row| labels[row]);
    let (test, rest) = pick_evenly(&by_class, test);
    let (validation, train) = pick_evenly(&rest, validation);

    let mut place = vec![0; labels.len()];
    shuffled.iter().enumerate().for_each(|(position, &row)| place[row] = position);
    let in_shuffled_order = |mut rows: Vec<usize>| {
        rows.sort_by_key(|&row| place[row]);
        rows
    };
    Rows {
        train: in_shuffled_order(train),
        validation: in_shuffled_order(validation),
        test: in_shuffled_order(test),
    }
}

/// `count` rows at equal distances, and the others.
fn pick_evenly(rows: &[usize], count: usize) -> (Vec<usize>, Vec<usize>) {
    let steps = |position: usize| position * count / rows.len();
    let (picked, rest): (Vec<_>, Vec<_>) =
        rows.iter().enumerate().partition(|(position, _)| steps(position + 1) > steps(*position));
    let strip = |rows: Vec<(usize, &usize)>| rows.into_iter().map(|(_, &row)| row).collect();
    (strip(picked), strip(rest))
}

/// A fixed permutation of 0..n (Fisher and Yates).
fn permutation(n: usize) -> Vec<usize> {
    // Any seed would do, as long as it never changes.
    let mut rng = Pcg64::new(42, 54);
    let mut rows: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        rows.swap(last, below(&mut rng, last as u64 + 1) as usize);
    }
    rows
}

/// An unbiased integer below `bound` (Lemire 2019, the plain variant that rejects).
fn below(rng: &mut Pcg64, bound: u64) -> u64 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let wide = u128::from(rng.next_u64()) * u128::from(bound);
        if wide as u64 >= threshold {
            return (wide >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_is_in_one_part_and_every_class_has_its_share(
            labels in proptest::collection::vec(0u32..5, 10..400),
        ) {
            let n = labels.len();
            let (validation, test) = (n * 15 / 100, n * 15 / 100);
            let rows = stratified(&labels, validation, test);
            prop_assert_eq!(rows.validation.len(), validation);
            prop_assert_eq!(rows.test.len(), test);
            let mut all = [rows.train, rows.validation.clone(), rows.test.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
            for class in 0..5 {
                let count = |rows: &[usize]| rows.iter().filter(|&&row| labels[row] == class).count() as f64;
                let whole = labels.iter().filter(|&&label| label == class).count() as f64;
                for part in [&rows.validation, &rows.test] {
                    let share = whole * part.len() as f64 / n as f64;
                    prop_assert!((count(part) - share).abs() <= 2.0, "class {} has {}", class, count(part));
                }
            }
        }
    }

    #[test]
    fn the_permutation_never_changes() {
        assert_eq!(permutation(10), [3, 8, 2, 7, 1, 4, 6, 9, 0, 5]);
    }
}
