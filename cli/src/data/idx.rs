//! IDX, the format of MNIST (<https://yann.lecun.com/exdb/mnist/>): a magic number that names the element type and the
//! number of dimensions, the dimensions as big-endian 32-bit integers, the elements.

use super::{Pixels, Shape, Splits, Table, gzip, hold_out};
use crate::error::{Failure, Outcome};
use std::path::{Path, PathBuf};

/// Reads the four files of MNIST's names from a directory; the `t10k` files are the test set.
pub(super) fn load(directory: &Path) -> Outcome<Splits> {
    let mut train = load_pair(directory, "train")?;
    let test = load_pair(directory, "t10k")?;
    let place = |failure: Failure| failure.at(directory.display());
    if test.shape != train.shape {
        let message = format!(
            "the training images have {}, the test images {}: these files do not belong together",
            train.shape, test.shape
        );
        return Err(place(Failure::unusable(message)));
    }
    let classes = train.labels.iter().max().map_or(0, |&label| label as usize + 1);
    if classes < 2 {
        return Err(place(Failure::unusable("every training label is 0: two classes are needed at least")));
    }
    if let Some(row) = test.labels.iter().position(|&label| label as usize >= classes) {
        let message = format!(
            "test label {row} is {}, but the training labels end at {}: these files do not belong together",
            test.labels[row],
            classes - 1
        );
        return Err(place(Failure::unusable(message)));
    }
    let validation = hold_out(&mut train, directory)?;
    let name = directory.file_name().map_or_else(|| "idx".into(), |name| name.to_string_lossy().into_owned());
    let classes = (0..classes).map(|class| class.to_string()).collect();
    Ok(Splits { name, classes, train, validation, test })
}

/// Joins images and labels, the contents of two IDX files.
pub(super) fn table(images: &[u8], labels: &[u8]) -> Result<Table, String> {
    let (shape, pixels) = parse_images(images).map_err(|message| format!("images: {message}"))?;
    let labels = parse_labels(labels).map_err(|message| format!("labels: {message}"))?;
    join(shape, pixels, labels)
}

/// How long a file is that begins with these bytes.
pub(super) fn length(bytes: &[u8]) -> Result<usize, String> {
    parse_header(bytes).map(|header| header.start + header.elements)
}

fn load_pair(directory: &Path, part: &str) -> Outcome<Table> {
    let images = find(directory, part, "images", 3)?;
    let labels = find(directory, part, "labels", 1)?;
    let at = |path: &Path, message: String| Failure::unusable(message).at(path.display());
    let (shape, pixels) =
        parse_images(&gzip::read(&images, length)?).map_err(|message| at(&images, message))?;
    let values = parse_labels(&gzip::read(&labels, length)?).map_err(|message| at(&labels, message))?;
    join(shape, pixels, values).map_err(|message| at(&labels, message))
}

/// `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, plain or gzipped.
fn find(directory: &Path, part: &str, what: &str, dimensions: u8) -> Outcome<PathBuf> {
    if !directory.is_dir() {
        let message = if directory.exists() {
            "is no directory: idx:DIR names the directory of the four files"
        } else {
            "no such directory: idx:DIR names the directory of the four files"
        };
        return Err(Failure::unusable(message).at(directory.display()));
    }
    let names: Vec<String> = ["", ".gz"]
        .iter()
        .flat_map(|end| ["-", "."].map(|dot| format!("{part}-{what}{dot}idx{dimensions}-ubyte{end}")))
        .collect();
    names.iter().map(|name| directory.join(name)).find(|path| path.exists()).ok_or_else(|| {
        let message = format!("{} is missing (or {})", names[0], names[2]);
        Failure::unusable(message).at(directory.display())
    })
}

fn join(shape: Shape, pixels: Vec<u8>, labels: Vec<u32>) -> Result<Table, String> {
    let images = pixels.len() / shape.features();
    if images != labels.len() {
        return Err(format!(
            "{} labels for {images} images: these files do not belong together",
            labels.len()
        ));
    }
    Ok(Table { pixels: Pixels::U8(pixels), labels, shape })
}

fn parse_images(bytes: &[u8]) -> Result<(Shape, Vec<u8>), String> {
    let (header, elements) = parse(bytes)?;
    let shape = match header.dimensions[..] {
        [_, features] => Shape::flat(features),
        [_, height, width] => Shape { channels: 1, height, width },
        _ => {
            return Err(format!(
                "{} dimensions, images have 3 (count, height, width): is this the other file of the pair?",
                header.dimensions.len()
            ));
        }
    };
    Ok((shape, elements.to_vec()))
}

fn parse_labels(bytes: &[u8]) -> Result<Vec<u32>, String> {
    let (header, elements) = parse(bytes)?;
    if header.dimensions.len() != 1 {
        return Err(format!(
            "{} dimensions, labels have 1: is this the other file of the pair?",
            header.dimensions.len()
        ));
    }
    Ok(elements.iter().map(|&label| u32::from(label)).collect())
}

struct Header {
    dimensions: Vec<usize>,
    /// Where the elements start.
    start: usize,
    elements: usize,
}

fn parse(bytes: &[u8]) -> Result<(Header, &[u8]), String> {
    let header = parse_header(bytes)?;
    let found = bytes.len() - header.start;
    if found < header.elements {
        return Err(format!(
            "is cut short: its header promises {} bytes of data, {found} are there; fetch the file again",
            header.elements
        ));
    }
    if found > header.elements {
        return Err(format!(
            "has bytes to spare: its header promises {} bytes of data, more are there; is it the right file?",
            header.elements
        ));
    }
    let elements = &bytes[header.start..];
    Ok((header, elements))
}

fn parse_header(bytes: &[u8]) -> Result<Header, String> {
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| {
        if bytes.is_empty() { "is empty" } else { "is cut short: the header is not whole" }.to_string()
    })?;
    let count = match *magic {
        [0, 0, 8, count @ 1..=3] => usize::from(count),
        [0, 0, 8, count] => return Err(format!("{count} dimensions: 1 to 3 can be read")),
        [0, 0, kind @ (9 | 11..=14), _] => {
            return Err(format!("elements of type {kind:#04x}: only unsigned bytes (0x08) can be read"));
        }
        [a, b, c, d] => {
            return Err(format!(
                "is no IDX file: it begins with {a:02x} {b:02x} {c:02x} {d:02x}, not 00 00 08"
            ));
        }
    };
    let sizes = rest.get(..4 * count).ok_or("is cut short: the header is not whole")?;
    let dimensions: Vec<usize> = sizes
        .chunks_exact(4)
        .map(|size| size.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
        .collect();
    let start = 4 + 4 * count;
    let elements = dimensions
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        .filter(|elements| elements.checked_add(start + 1).is_some())
        .ok_or_else(|| format!("its header names an impossible size, {dimensions:?}"))?;
    if elements == 0 {
        return Err(format!("holds no data: its header names the size {dimensions:?}"));
    }
    Ok(Header { dimensions, start, elements })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn file(dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn write(directory: &Path, name: &str, dimensions: &[u32], elements: &[u8]) {
        fs::write(directory.join(name), file(dimensions, elements)).unwrap();
    }

    /// 20 training and 4 test images of 2 x 3 pixels, 2 classes.
    fn write_all(directory: &Path) {
        write(directory, "train-images-idx3-ubyte", &[20, 2, 3], &[1; 120]);
        write(directory, "train-labels-idx1-ubyte", &[20], &[[0, 1]; 10].concat());
        write(directory, "t10k-images-idx3-ubyte", &[4, 2, 3], &[2; 24]);
        write(directory, "t10k-labels-idx1-ubyte", &[4], &[0, 1, 1, 0]);
    }

    fn message(directory: &Path) -> String {
        load(directory).unwrap_err().to_string().replace(&directory.display().to_string(), "DIR")
    }

    #[test]
    fn four_files_make_a_data_set() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let splits = load(directory.path()).unwrap();
        assert_eq!(splits.parts().map(|(_, part)| part.len()), [18, 2, 4]);
        assert_eq!(splits.test.shape, Shape { channels: 1, height: 2, width: 3 });
        assert_eq!(splits.classes, ["0", "1"]);
    }

    #[test]
    fn dots_and_gzip_are_found() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let plain = load(directory.path()).unwrap();
        for name in ["train-images", "train-labels", "t10k-images", "t10k-labels"] {
            let kind = if name.ends_with('s') && name.contains("images") { 3 } else { 1 };
            let old = directory.path().join(format!("{name}-idx{kind}-ubyte"));
            let packed = gzip::deflate(&fs::read(&old).unwrap());
            fs::write(directory.path().join(format!("{name}.idx{kind}-ubyte.gz")), packed).unwrap();
            fs::remove_file(old).unwrap();
        }
        assert_eq!(load(directory.path()).unwrap(), plain);
    }

    #[test]
    fn bad_files_are_told_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let missing = path.join("missing");
        assert!(load(&missing).unwrap_err().to_string().contains("no such directory"));
        assert_eq!(message(path), "DIR: train-images-idx3-ubyte is missing (or train-images-idx3-ubyte.gz)");

        let images = "train-images-idx3-ubyte";
        let cases: [(&[u32], &[u8], &str); 6] = [
            (&[20, 2, 3], &[1; 119], "is cut short: its header promises 120 bytes of data, 119 are there"),
            (&[20, 2, 3], &[1; 121], "has bytes to spare: its header promises 120 bytes of data"),
            (&[0, 2, 3], &[], "holds no data: its header names the size [0, 2, 3]"),
            (&[u32::MAX, u32::MAX, u32::MAX], &[1], "impossible size"),
            (&[20], &[1; 20], "1 dimensions, images have 3"),
            (&[19, 2, 3], &[1; 114], "20 labels for 19 images"),
        ];
        for (dimensions, elements, expected) in cases {
            write_all(path);
            write(path, images, dimensions, elements);
            assert!(message(path).contains(expected), "{}", message(path));
        }

        write_all(path);
        write(path, "t10k-images-idx3-ubyte", &[4, 3, 2], &[2; 24]);
        assert!(message(path).contains("have 2x3 pixels, the test images 3x2 pixels"), "{}", message(path));

        write_all(path);
        write(path, "t10k-labels-idx1-ubyte", &[4], &[0, 1, 2, 0]);
        assert!(
            message(path).contains("test label 2 is 2, but the training labels end at 1"),
            "{}",
            message(path)
        );

        for (bytes, expected) in [
            (&b""[..], "is empty"),
            (b"PK\x03\x04", "is no IDX file: it begins with 50 4b 03 04"),
            (b"\0\0\x08\x03\0\0", "the header is not whole"),
            (b"\0\0\x0d\x03", "elements of type 0x0d"),
            (b"\0\0\x08\x09", "9 dimensions"),
            (b"\x1f\x8b\x08", "cut short"),
        ] {
            fs::write(path.join(images), bytes).unwrap();
            assert!(message(path).contains(expected), "{}", message(path));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            dimensions in proptest::collection::vec(any::<u8>(), 0..20),
            count in 0u8..6,
            elements in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = table(&elements, &dimensions);
            let bytes = [&[0, 0, 8, count], &dimensions[..], &elements].concat();
            let _ = table(&bytes, &bytes);
            let _ = length(&bytes);
        }

        #[test]
        fn what_is_written_is_read(height in 1u32..5, width in 1u32..5, count in 1u32..5) {
            let pixels: Vec<u8> = (0..count * height * width).map(|value| value as u8).collect();
            let labels: Vec<u8> = (0..count as u8).collect();
            let read = table(&file(&[count, height, width], &pixels), &file(&[count], &labels)).unwrap();
            prop_assert_eq!(&read.pixels, &Pixels::U8(pixels));
            prop_assert_eq!(read.features(), (height * width) as usize);
        }
    }
}
