//! Data sources: where a data set comes from, and what it is once it is in memory.

mod cifar10;
mod csv;
mod digits;
mod gzip;
mod idx;
mod npz;
mod spiral;
mod split;

use crate::error::{Failure, Outcome};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What `--data` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The handwritten digits inside the program.
    Digits,
    /// A directory with the four files of MNIST or Fashion-MNIST.
    Idx(PathBuf),
    /// A directory with the six files of CIFAR-10's binary version.
    Cifar10(PathBuf),
    /// A table of numbers with a label in each row.
    Csv(PathBuf),
    /// NumPy's arrays x and y.
    Npz(PathBuf),
    /// Three interleaved spirals in the plane.
    Spiral,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, path) = match text.split_once(':') {
            Some((kind, path)) => (kind, Some(path)),
            None => (text, None),
        };
        let place = |what: &str| match path {
            None | Some("") => Err(format!("write {kind}:{what}")),
            Some(path) => Ok(PathBuf::from(path)),
        };
        match kind {
            "digits" | "spiral" if path.is_some() => Err(format!("{kind} takes no path: write {kind}")),
            "digits" => Ok(Self::Digits),
            "spiral" => Ok(Self::Spiral),
            "idx" => Ok(Self::Idx(place("DIR")?)),
            "cifar10" => Ok(Self::Cifar10(place("DIR")?)),
            "csv" => Ok(Self::Csv(place("FILE")?)),
            "npz" => Ok(Self::Npz(place("FILE")?)),
            _ => Err("choose digits, spiral, idx:DIR, cifar10:DIR, csv:FILE or npz:FILE".into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("digits"),
            Self::Spiral => f.write_str("spiral"),
            Self::Idx(path) => write!(f, "idx:{}", path.display()),
            Self::Cifar10(path) => write!(f, "cifar10:{}", path.display()),
            Self::Csv(path) => write!(f, "csv:{}", path.display()),
            Self::Npz(path) => write!(f, "npz:{}", path.display()),
        }
    }
}

impl Source {
    /// Reads the whole data set. `label` names a CSV's column; its last column holds the labels without it.
    pub(crate) fn load(&self, label: Option<&str>) -> Outcome<Splits> {
        if label.is_some() && !matches!(self, Self::Csv(_)) {
            return Err(Failure::unusable("--label names a column of csv:FILE; leave it out for other data"));
        }
        let splits = match self {
            Self::Digits => digits::load(),
            Self::Idx(directory) => idx::load(directory),
            Self::Cifar10(directory) => cifar10::load(directory),
            Self::Csv(file) => csv::load(file, label),
            Self::Npz(file) => npz::load(file),
            Self::Spiral => Ok(spiral::make()),
        }?;
        debug_assert!(splits.parts().iter().all(|(_, part)| part.is_consistent(splits.classes.len())));
        Ok(splits)
    }

    /// Reads rows of `features` numbers to predict from a CSV, in the file's order; its labels, if any, are passed
    /// over.
    pub(crate) fn load_unlabelled_csv(
        file: &Path,
        label: Option<&str>,
        features: usize,
    ) -> Outcome<Vec<f32>> {
        csv::unlabelled(file, label, features)
    }

    /// The factor that brings the values of a picture to 0..1; none where each feature has a unit of its own.
    pub(crate) fn unit(&self) -> Option<f64> {
        match self {
            Self::Digits => Some(1.0 / 16.0),
            Self::Idx(_) | Self::Cifar10(_) => Some(1.0 / 255.0),
            Self::Csv(_) | Self::Npz(_) | Self::Spiral => None,
        }
    }
}

/// A data set in three parts, each with its own rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Splits {
    /// What the data set is called in reports.
    pub(crate) name: String,
    /// One name for each class, in the order of the labels.
    pub(crate) classes: Vec<String>,
    /// Rows to learn from.
    pub(crate) train: Table,
    /// Rows to choose options by.
    pub(crate) validation: Table,
    /// Rows to look at once, at the end.
    pub(crate) test: Table,
}

impl Splits {
    /// The three parts and their names.
    pub(crate) fn parts(&self) -> [(&'static str, &Table); 3] {
        [("train", &self.train), ("validation", &self.validation), ("test", &self.test)]
    }

    /// A checksum of every value and label: a run that goes on must go on with the same data.
    pub(crate) fn checksum(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        for (_, table) in self.parts() {
            table.feed(&mut crc);
        }
        crc.sum()
    }
}

/// How the features of a row lie: `channels` planes of `height` rows of `width` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Shape {
    /// Colours of a picture; 1 for everything else.
    pub(crate) channels: usize,
    /// 1 where a row is no picture.
    pub(crate) height: usize,
    /// The number of features where a row is no picture.
    pub(crate) width: usize,
}

impl Shape {
    /// The shape of a row that is no picture.
    pub(crate) const fn flat(features: usize) -> Self {
        Self { channels: 1, height: 1, width: features }
    }

    /// Values in a row.
    pub(crate) const fn features(self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.channels, self.height) {
            (1, 1) => write!(f, "{} {}", self.width, if self.width == 1 { "feature" } else { "features" }),
            (1, _) => write!(f, "{}x{} pixels", self.height, self.width),
            _ => write!(f, "{}x{} pixels in {} channels", self.height, self.width, self.channels),
        }
    }
}

/// The values of a table, as its file holds them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pixels {
    /// Bytes of a picture.
    U8(Vec<u8>),
    /// Measured values.
    F32(Vec<f32>),
}

impl Pixels {
    fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }
}

/// Rows with a label each; row `i` starts at value `i * features`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// All values, row after row, each row in the order (channels, height, width).
    pub(crate) pixels: Pixels,
    /// One class index for each row.
    pub(crate) labels: Vec<u32>,
    /// What a row is.
    pub(crate) shape: Shape,
}

impl Table {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Values in a row.
    pub(crate) fn features(&self) -> usize {
        self.shape.features()
    }

    /// The named rows, in the order of their names.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        Self {
            pixels: match &self.pixels {
                Pixels::U8(values) => Pixels::U8(gather(values, self.features(), rows)),
                Pixels::F32(values) => Pixels::F32(gather(values, self.features(), rows)),
            },
            labels: gather(&self.labels, 1, rows),
            shape: self.shape,
        }
    }

    /// All rows of these tables, which have one shape and one kind of values.
    pub(crate) fn concatenate(tables: &[&Self]) -> Self {
        let mut all = tables[0].clone();
        for table in &tables[1..] {
            all.labels.extend(&table.labels);
            match (&mut all.pixels, &table.pixels) {
                (Pixels::U8(all), Pixels::U8(more)) => all.extend(more),
                (Pixels::F32(all), Pixels::F32(more)) => all.extend(more),
                _ => unreachable!("the parts of one data set hold one kind of values"),
            }
        }
        all
    }

    /// The last `count` rows, cut off; the others stay.
    fn split_off_last(&mut self, count: usize) -> Self {
        let rest = self.len() - count;
        let values = rest * self.features();
        Self {
            pixels: match &mut self.pixels {
                Pixels::U8(all) => Pixels::U8(all.split_off(values)),
                Pixels::F32(all) => Pixels::F32(all.split_off(values)),
            },
            labels: self.labels.split_off(rest),
            shape: self.shape,
        }
    }

    fn is_consistent(&self, classes: usize) -> bool {
        !self.labels.is_empty()
            && self.features().checked_mul(self.len()) == Some(self.pixels.len())
            && self.labels.iter().all(|&label| (label as usize) < classes)
    }

    fn feed(&self, crc: &mut flate2::Crc) {
        match &self.pixels {
            Pixels::U8(values) => crc.update(values),
            Pixels::F32(values) => values.iter().for_each(|value| crc.update(&value.to_le_bytes())),
        }
        self.labels.iter().for_each(|label| crc.update(&label.to_le_bytes()));
    }
}

/// The rule for data that comes with a test set but without a validation set: the last 5,000 training rows when
/// there are 50,000 or more, otherwise the last tenth.
fn hold_out(train: &mut Table, place: &Path) -> Outcome<Table> {
    let count = if train.len() >= 50_000 { 5_000 } else { train.len() / 10 };
    if count == 0 {
        let message = format!("{} training rows are too few: 10 are needed at least", train.len());
        return Err(Failure::unusable(message).at(place.display()));
    }
    Ok(train.split_off_last(count))
}

fn gather<T: Copy>(values: &[T], width: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_read_what_they_write() {
        for text in ["digits", "spiral", "idx:a/b", "cifar10:c:d", "csv:e.csv", "npz:f.npz"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_source_says_what_is_right() {
        assert_eq!("idx".parse::<Source>().unwrap_err(), "write idx:DIR");
        assert_eq!("csv:".parse::<Source>().unwrap_err(), "write csv:FILE");
        assert_eq!("digits:x".parse::<Source>().unwrap_err(), "digits takes no path: write digits");
        assert!("mnist".parse::<Source>().unwrap_err().starts_with("choose "));
    }

    #[test]
    fn a_label_column_is_for_tables() {
        let failure = Source::Digits.load(Some("y")).unwrap_err();
        assert!(failure.to_string().contains("--label"), "{failure}");
    }

    fn numbers(rows: usize) -> Table {
        let values = (0..rows * 2).map(|value| value as f32).collect();
        Table { pixels: Pixels::F32(values), labels: (0..rows as u32).collect(), shape: Shape::flat(2) }
    }

    #[test]
    fn rows_are_selected_with_their_labels() {
        let table = numbers(4).select(&[3, 1]);
        assert_eq!(table.pixels, Pixels::F32(vec![6.0, 7.0, 2.0, 3.0]));
        assert_eq!(table.labels, [3, 1]);
    }

    #[test]
    fn the_last_rows_are_held_out() {
        let place = Path::new("place");
        for (rows, held) in [(10, 1), (25, 2), (49_999, 4_999), (50_000, 5_000), (60_000, 5_000)] {
            let whole = numbers(rows);
            let mut train = whole.clone();
            let validation = hold_out(&mut train, place).unwrap();
            assert_eq!(validation.len(), held, "{rows} rows");
            assert_eq!(Table::concatenate(&[&train, &validation]), whole);
        }
        assert!(hold_out(&mut numbers(9), place).is_err());
    }

    #[test]
    fn one_changed_value_changes_the_checksum() {
        let splits = spiral::make();
        let mut other = splits.clone();
        assert_eq!(splits.checksum(), other.checksum());
        other.test.labels[5] ^= 1;
        assert_ne!(splits.checksum(), other.checksum());
    }
}
