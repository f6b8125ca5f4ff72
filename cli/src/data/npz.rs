//! NumPy's `.npz` (`np.savez`, `np.savez_compressed`): a zip of arrays. Rows are `x` and labels `y`, split like a table; or
//! `x_train`, `y_train`, `x_test`, `y_test`, as Keras keeps its data sets.
//!
//! `x` is uint8, float32 or float64, of the shape (n, features), (n, height, width) or (n, channels, height, width); `y` is of
//! any integer type, of the shape (n) or (n, 1).

use super::{Pixels, Shape, Splits, Table, hold_out, split};
use crate::error::{Failure, Outcome};
use crate::files;
use npyz::{Deserialize, NpyFile, NpyHeader, Order};
use std::io::{Cursor, Read};
use std::path::Path;
use zip::ZipArchive;

/// Per cent of the rows for validation, and as many for the test.
const HELD_OUT: usize = 15;
const FEWEST_ROWS: usize = 10;
/// A header is a line of text; NumPy's own are 128 bytes.
const LONGEST_HEADER: usize = 4096;

/// Reads the arrays of a file and splits them: `x` and `y` 70/15/15, always the same way.
pub(super) fn load(file: &Path) -> Outcome<Splits> {
    let at = |message: String| Failure::unusable(message).at(file.display());
    let parts = read(&files::read(file)?).map_err(at)?;
    let name = file.file_stem().map_or_else(|| "npz".into(), |stem| stem.to_string_lossy().into_owned());
    match parts {
        (whole, classes, None) => {
            let held_out = whole.len() * HELD_OUT / 100;
            let rows = split::stratified(&whole.labels, held_out, held_out);
            let [train, validation, test] =
                [rows.train, rows.validation, rows.test].map(|rows| whole.select(&rows));
            Ok(Splits { name, classes, train, validation, test })
        }
        (mut train, classes, Some(test)) => {
            let validation = hold_out(&mut train, file)?;
            Ok(Splits { name, classes, train, validation, test })
        }
    }
}

/// All rows or the training rows, the names of the classes, and the test rows where the file has them apart.
fn read(bytes: &[u8]) -> Result<(Table, Vec<String>, Option<Table>), String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| format!("is no .npz file: {error}; write one with np.savez"))?;
    let is_split = archive.by_name("x_train.npy").is_ok();
    let mut pair = |x: &str, y: &str| -> Result<(Shape, Pixels, Vec<i64>), String> {
        let (shape, pixels) = rows(&entry(&mut archive, x)?).map_err(|message| format!("{x}: {message}"))?;
        let labels = labels(&entry(&mut archive, y)?).map_err(|message| format!("{y}: {message}"))?;
        let count = pixels.len() / shape.features();
        if labels.len() != count {
            return Err(format!("{x} has {count} rows, {y} has {} labels", labels.len()));
        }
        Ok((shape, pixels, labels))
    };
    if !is_split {
        let (shape, pixels, values) = pair("x", "y")?;
        let classes = classes(&values, "y")?;
        let table = Table { pixels, labels: index(&values, &classes, "y")?, shape };
        return Ok((table, names(&classes), None));
    }
    let (shape, pixels, values) = pair("x_train", "y_train")?;
    let (test_shape, test_pixels, test_values) = pair("x_test", "y_test")?;
    let same_type =
        matches!((&pixels, &test_pixels), (Pixels::U8(_), Pixels::U8(_)) | (Pixels::F32(_), Pixels::F32(_)));
    if test_shape != shape || !same_type {
        return Err(format!(
            "x_train has {shape}, x_test {test_shape}{}: they do not belong together",
            if same_type { "" } else { " of another type" }
        ));
    }
    let classes = classes(&values, "y_train")?;
    let train = Table { pixels, labels: index(&values, &classes, "y_train")?, shape };
    let test = Table { pixels: test_pixels, labels: index(&test_values, &classes, "y_test")?, shape };
    Ok((train, names(&classes), Some(test)))
}

/// An array: its header and the bytes of its elements.
struct Array {
    header: NpyHeader,
    bytes: Vec<u8>,
}

/// The array of a name, read no further than its header says.
fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Array, String> {
    let file = format!("{name}.npy");
    if archive.index_for_name(&file).is_none() {
        let held: Vec<String> = archive
            .file_names()
            .filter_map(|name| Some(name.ok()?.trim_end_matches(".npy").to_string()))
            .take(10)
            .collect();
        return Err(format!("holds no array {name}, but {}: np.savez(FILE, x=..., y=...)", held.join(", ")));
    }
    let damaged = |error: &dyn std::fmt::Display| format!("{name}: damaged ({error}): write the file again");
    let mut reader = archive.by_name(&file).map_err(|error| damaged(&error))?;
    let header = header(&mut reader).map_err(|message| format!("{name}: {message}"))?;
    let header = NpyHeader::from_reader(&header[..]).map_err(|error| damaged(&error))?;
    let size = header.dtype().num_bytes().filter(|_| !header.uses_pickled_array());
    let size = size.ok_or_else(|| format!("{name}: holds Python objects, not numbers"))?;
    let wanted = (header.shape().iter())
        .try_fold(size as u64, |product, &length| product.checked_mul(length))
        .filter(|&wanted| wanted < u64::MAX)
        .ok_or_else(|| format!("{name}: its header names an impossible shape, {:?}", header.shape()))?;
    let mut bytes = Vec::new();
    reader.take(wanted + 1).read_to_end(&mut bytes).map_err(|error| damaged(&error))?;
    if bytes.len() as u64 != wanted {
        let found = bytes.len();
        return Err(format!("{name}: its header promises {wanted} bytes of data, {found} or more are there"));
    }
    if bytes.is_empty() {
        return Err(format!("{name}: holds no data: its shape is {:?}", header.shape()));
    }
    Ok(Array { header, bytes })
}

/// The bytes of an array's header, if it can be one: a parser of Python's literals is not handed more than that.
fn header(reader: &mut impl Read) -> Result<Vec<u8>, String> {
    let short = |_| "is cut short: write the file again".to_string();
    let mut bytes = vec![0; 10];
    reader.read_exact(&mut bytes).map_err(short)?;
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("is no array of NumPy".into());
    }
    let mut length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    if bytes[6] > 1 {
        let mut more = [0; 2];
        reader.read_exact(&mut more).map_err(short)?;
        length += usize::from(u16::from_le_bytes(more)) << 16;
        bytes.extend(more);
    }
    let start = bytes.len();
    if length > LONGEST_HEADER {
        return Err(format!("its header is {length} bytes long: an array of numbers has a shorter one"));
    }
    bytes.resize(start + length, 0);
    reader.read_exact(&mut bytes[start..]).map_err(short)?;
    if !is_countable(&bytes[start..]) {
        return Err("its header names an impossible shape".into());
    }
    if bytes[start..].iter().filter(|byte| b"([{".contains(byte)).count() > 2 {
        return Err("holds records, not numbers".into());
    }
    Ok(bytes)
}

/// Whether the product of all numbers in a header is a number, as the parser takes for granted. NumPy writes them in decimal.
fn is_countable(header: &[u8]) -> bool {
    let text = String::from_utf8_lossy(header);
    let mut product = Some(1u64);
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        // `f8` and `u1` have their size at the end; a name has no digit at its beginning.
        let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let value = match digits.parse::<u64>() {
            Ok(value) => Some(value.max(1)),
            Err(_) => (!digits.starts_with(|c: char| c.is_ascii_digit())).then_some(1),
        };
        product = product.zip(value).and_then(|(product, value)| product.checked_mul(value));
    }
    product.is_some()
}

impl Array {
    /// `float32`, as NumPy names it.
    fn kind(&self) -> String {
        let descr = self.header.dtype().descr();
        let descr = descr.trim_matches(|c: char| "'<>|=".contains(c));
        let (kind, size) = descr.split_at(descr.len().min(1));
        let name = match kind {
            "f" => "float",
            "i" => "int",
            "u" => "uint",
            "b" => return "bool".into(),
            _ => return descr.into(),
        };
        format!("{name}{}", size.parse::<usize>().unwrap_or(0) * 8)
    }

    fn shape(&self) -> Vec<usize> {
        // Their product fits the memory.
        self.header.shape().iter().map(|&length| length as usize).collect()
    }

    /// The elements in row-major order.
    fn values<T: Deserialize + Copy>(&self) -> Result<Vec<T>, String> {
        let values = NpyFile::with_header(self.header.clone(), &self.bytes[..])
            .into_vec::<T>()
            .map_err(|error| format!("damaged ({error}): write the file again"))?;
        if self.header.order() == Order::C {
            return Ok(values);
        }
        // Fortran's order: the first index runs fastest.
        let shape = self.shape();
        let column_major = |mut row_major: usize| {
            let (mut place, mut stride) = (0, values.len());
            for &length in shape.iter().rev() {
                stride /= length;
                place += row_major % length * stride;
                row_major /= length;
            }
            place
        };
        Ok((0..values.len()).map(|index| values[column_major(index)]).collect())
    }
}

fn rows(array: &Array) -> Result<(Shape, Pixels), String> {
    let shape = match array.shape()[..] {
        [_, features] => Shape::flat(features),
        [_, height, width] => Shape { channels: 1, height, width },
        [_, channels, height, width] => Shape { channels, height, width },
        _ => {
            return Err(format!(
                "has {} dimensions: make them (n, features), (n, height, width) or (n, channels, height, width)",
                array.shape().len()
            ));
        }
    };
    let values = match array.kind().as_str() {
        "uint8" => return Ok((shape, Pixels::U8(array.values()?))),
        "float32" => array.values::<f32>()?,
        "float64" => array.values::<f64>()?.into_iter().map(|value| value as f32).collect(),
        kind => return Err(format!("is {kind}: uint8, float32 or float64 can be read; x.astype('float32')")),
    };
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let (row, feature) = (index / shape.features(), index % shape.features());
        return Err(format!("row {row}, feature {feature} is {} as a 32-bit number", values[index]));
    }
    Ok((shape, Pixels::F32(values)))
}

fn labels(array: &Array) -> Result<Vec<i64>, String> {
    if !matches!(array.shape()[..], [_] | [_, 1]) {
        return Err(format!("has the shape {:?}: one label for each row is wanted", array.shape()));
    }
    fn wide<T: Deserialize + Copy + Into<i64>>(array: &Array) -> Result<Vec<i64>, String> {
        Ok(array.values::<T>()?.into_iter().map(Into::into).collect())
    }
    match array.kind().as_str() {
        "uint8" => wide::<u8>(array),
        "uint16" => wide::<u16>(array),
        "uint32" => wide::<u32>(array),
        "uint64" => {
            let too_large = |_| "holds labels beyond 2^63".to_string();
            array.values::<u64>()?.into_iter().map(|value| i64::try_from(value).map_err(too_large)).collect()
        }
        "int8" => wide::<i8>(array),
        "int16" => wide::<i16>(array),
        "int32" => wide::<i32>(array),
        "int64" => wide::<i64>(array),
        "bool" => Ok(array.values::<bool>()?.into_iter().map(i64::from).collect()),
        kind => Err(format!("is {kind}: labels are integers; y.astype('int64')")),
    }
}

/// The different labels, in order.
fn classes(labels: &[i64], name: &str) -> Result<Vec<i64>, String> {
    if labels.len() < FEWEST_ROWS {
        return Err(format!("{name} has {} rows: {FEWEST_ROWS} are needed at least", labels.len()));
    }
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() < 2 {
        return Err(format!("every label of {name} is {}: two classes are needed at least", classes[0]));
    }
    if classes.len() * 2 > labels.len() {
        return Err(format!(
            "{name} has {} different values in {} rows: it should hold classes",
            classes.len(),
            labels.len()
        ));
    }
    Ok(classes)
}

/// From labels to the places of their classes.
fn index(labels: &[i64], classes: &[i64], name: &str) -> Result<Vec<u32>, String> {
    let place = |(row, label): (usize, &i64)| {
        let place = classes
            .binary_search(label)
            .map_err(|_| format!("label {row} of {name} is {label}, which no training row has"))?;
        Ok(place as u32)
    };
    labels.iter().enumerate().map(place).collect()
}

fn names(classes: &[i64]) -> Vec<String> {
    classes.iter().map(i64::to_string).collect()
}

#[cfg(test)]
mod tests;
