//! The handwritten digits that the program carries inside (source and licence: `data/digits/README.md`).

use super::{Splits, gzip, idx, split};
use crate::error::{Failure, Outcome};

const IMAGES: &[u8] = include_bytes!("../../data/digits/digits-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../data/digits/digits-labels-idx1-ubyte.gz");

/// Rows for validation, and as many for the test; 1,197 remain to learn from.
const HELD_OUT: usize = 300;

/// 1,797 images of 8 x 8 pixels, 0 to 16, ten classes, in one fixed stratified split.
pub(super) fn load() -> Outcome<Splits> {
    let table = gzip::inflate(IMAGES, idx::length)
        .and_then(|images| Ok((images, gzip::inflate(LABELS, idx::length)?)))
        .and_then(|(images, labels)| idx::table(&images, &labels))
        .map_err(|message| Failure::failed(message).at("the digits inside this program"))?;
    let rows = split::stratified(&table.labels, HELD_OUT, HELD_OUT);
    Ok(Splits {
        name: "digits".into(),
        classes: ('0'..='9').map(String::from).collect(),
        train: table.select(&rows.train),
        validation: table.select(&rows.validation),
        test: table.select(&rows.test),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Pixels, Shape};

    #[test]
    fn the_digits_are_whole_and_split_as_promised() {
        let splits = load().unwrap();
        assert_eq!(splits.parts().map(|(_, part)| part.len()), [1197, 300, 300]);
        assert_eq!(splits.classes.len(), 10);
        for (name, part) in splits.parts() {
            assert_eq!(part.shape, Shape { channels: 1, height: 8, width: 8 });
            let Pixels::U8(values) = &part.pixels else { panic!("bytes were expected") };
            assert_eq!(values.iter().max(), Some(&16));
            for class in 0..10 {
                let share = part.labels.iter().filter(|&&label| label == class).count() * 1797 / part.len();
                assert!((160..=200).contains(&share), "{name}: class {class} has {share} of 1,797");
            }
        }
    }

    /// Models are compared by their test accuracy: the split may not change, ever.
    #[test]
    fn the_split_never_changes() {
        assert_eq!(load().unwrap().checksum(), 2_704_489_582);
    }
}
