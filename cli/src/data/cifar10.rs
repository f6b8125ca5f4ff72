//! The binary version of CIFAR-10 (<https://www.cs.toronto.edu/~kriz/cifar.html>): records of one label byte
//! and 3,072 pixels, the red plane, the green and the blue, 32 x 32 each.

use super::{Pixels, Shape, Splits, Table, hold_out};
use crate::error::{Failure, Outcome};
use crate::files;
use std::path::Path;

const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };
const RECORD: usize = 1 + SHAPE.features();
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Reads `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` from a directory, or from the directory
/// `cifar-10-batches-bin` inside it.
pub(super) fn load(directory: &Path) -> Outcome<Splits> {
    if !directory.is_dir() {
        let message = "no such directory: cifar10:DIR names the directory with data_batch_1.bin";
        return Err(Failure::unusable(message).at(directory.display()));
    }
    let unpacked = directory.join("cifar-10-batches-bin");
    let inner = if unpacked.is_dir() { &unpacked } else { directory };

    let batches = (1..=5)
        .map(|number| load_batch(inner, &format!("data_batch_{number}.bin")))
        .collect::<Outcome<Vec<Table>>>()?;
    let mut train = Table::concatenate(&batches.iter().collect::<Vec<_>>());
    drop(batches);
    let test = load_batch(inner, "test_batch.bin")?;
    let validation = hold_out(&mut train, inner)?;
    Ok(Splits {
        name: "CIFAR-10".into(),
        classes: CLASSES.map(String::from).to_vec(),
        train,
        validation,
        test,
    })
}

fn load_batch(directory: &Path, name: &str) -> Outcome<Table> {
    let path = directory.join(name);
    if !path.exists() {
        let message = format!("{name} is missing: unpack cifar-10-binary.tar.gz here");
        return Err(Failure::unusable(message).at(directory.display()));
    }
    parse(&files::read(&path)?).map_err(|message| Failure::unusable(message).at(path.display()))
}

fn parse(bytes: &[u8]) -> Result<Table, String> {
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    if !bytes.len().is_multiple_of(RECORD) {
        return Err(format!(
            "{} bytes are no whole number of images (3,073 bytes each): cut short, or no binary version of CIFAR-10",
            bytes.len()
        ));
    }
    let count = bytes.len() / RECORD;
    let mut labels = Vec::with_capacity(count);
    let mut pixels = Vec::with_capacity(count * SHAPE.features());
    for (row, record) in bytes.chunks_exact(RECORD).enumerate() {
        let (&label, image) = record.split_first().ok_or("is empty")?;
        if usize::from(label) >= CLASSES.len() {
            return Err(format!("image {row} has the label {label}: CIFAR-10 has the labels 0 to 9"));
        }
        labels.push(u32::from(label));
        pixels.extend(image);
    }
    Ok(Table { pixels: Pixels::U8(pixels), labels, shape: SHAPE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn records(count: u8) -> Vec<u8> {
        (0..count).flat_map(|label| [vec![label], vec![label; SHAPE.features()]].concat()).collect()
    }

    fn write_all(directory: &Path) {
        for number in 1..=5 {
            fs::write(directory.join(format!("data_batch_{number}.bin")), records(10)).unwrap();
        }
        fs::write(directory.join("test_batch.bin"), records(3)).unwrap();
    }

    #[test]
    fn six_files_make_a_data_set() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let splits = load(directory.path()).unwrap();
        assert_eq!(splits.parts().map(|(_, part)| part.len()), [45, 5, 3]);
        assert_eq!(splits.test.labels, [0, 1, 2]);
        let Pixels::U8(pixels) = &splits.test.pixels else { panic!("bytes were expected") };
        assert_eq!((pixels[3071], pixels[3072]), (0, 1));

        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("cifar-10-batches-bin");
        fs::create_dir(&inner).unwrap();
        write_all(&inner);
        assert_eq!(load(outer.path()).unwrap(), splits);
    }

    #[test]
    fn bad_files_are_told_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let message = || load(directory.path()).unwrap_err().to_string();
        assert!(message().contains("data_batch_1.bin is missing"), "{}", message());
        write_all(directory.path());
        let third = directory.path().join("data_batch_3.bin");
        fs::write(&third, &records(2)[..6145]).unwrap();
        assert!(message().contains("data_batch_3.bin: 6145 bytes are no whole number"), "{}", message());
        fs::write(&third, records(11)).unwrap();
        assert!(message().contains("image 10 has the label 10"), "{}", message());
        fs::write(&third, b"").unwrap();
        assert!(message().contains("is empty"), "{}", message());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20), count in 0usize..3) {
            let _ = parse(&bytes);
            let mut whole = vec![3; count * RECORD];
            whole.iter_mut().zip(&bytes).for_each(|(to, &from)| *to = from);
            let _ = parse(&whole);
        }
    }
}
