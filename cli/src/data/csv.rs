//! Tables of numbers, comma separated, one row a line, with or without a header.
//!
//! Cells may be quoted (`"a, b"`, a quote inside doubled); a quoted cell does not run over a line's end. Blank lines
//! are skipped. Labels are any text; every other cell is a finite number.

use super::{Pixels, Shape, Splits, Table, split};
use crate::error::{Failure, Outcome};
use crate::files;
use std::borrow::Cow;
use std::path::Path;

/// Per cent of the rows for validation, and as many for the test.
const HELD_OUT: usize = 15;
const FEWEST_ROWS: usize = 10;

/// Reads a table with labels and splits it 70/15/15, always the same way.
pub(super) fn load(file: &Path, label: Option<&str>) -> Outcome<Splits> {
    let column = label.map_or(LabelColumn::Last, LabelColumn::Named);
    let rows = parse(&files::read(file)?, column).map_err(|message| at(file, message))?;
    let (table, classes) = classify(rows).map_err(|message| at(file, message))?;
    let held_out = table.len() * HELD_OUT / 100;
    let rows = split::stratified(&table.labels, held_out, held_out);
    Ok(Splits {
        name: file.file_stem().map_or_else(|| "csv".into(), |stem| stem.to_string_lossy().into_owned()),
        classes,
        train: table.select(&rows.train),
        validation: table.select(&rows.validation),
        test: table.select(&rows.test),
    })
}

/// Reads rows of `features` numbers to predict, in the file's order; a label column is passed over.
pub(super) fn unlabelled(file: &Path, label: Option<&str>, features: usize) -> Outcome<Vec<f32>> {
    let bytes = files::read(file)?;
    let columns = first_line(&bytes).map(|line| line.len()).map_err(|message| at(file, message))?;
    let column = match label {
        Some(name) => LabelColumn::Named(name),
        None if columns == features + 1 => LabelColumn::Last,
        None => LabelColumn::Absent,
    };
    let rows = parse(&bytes, column).map_err(|message| at(file, message))?;
    if rows.features != features {
        let message = format!("has {} numbers in a row, the model takes {features}", rows.features);
        return Err(at(file, message));
    }
    Ok(rows.values)
}

fn at(file: &Path, message: String) -> Failure {
    Failure::unusable(message).at(file.display())
}

#[derive(Debug, Clone, Copy)]
enum LabelColumn<'a> {
    Last,
    Named(&'a str),
    Absent,
}

#[derive(Debug)]
struct Rows {
    features: usize,
    values: Vec<f32>,
    /// One for each row; empty without a label column.
    labels: Vec<String>,
}

/// Class indices in the order of the classes' names: as numbers when all of them are, otherwise as text.
fn classify(rows: Rows) -> Result<(Table, Vec<String>), String> {
    let count = rows.labels.len();
    if count < FEWEST_ROWS {
        return Err(format!("has {count} rows: {FEWEST_ROWS} are needed at least"));
    }
    let mut classes = rows.labels.clone();
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
    if classes.iter().all(|class| number(class).is_some()) {
        classes.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(a.cmp(b)).then(a.cmp(b)));
    } else {
        classes.sort();
    }
    classes.dedup();
    if classes.len() < 2 {
        return Err(format!("every label is `{}`: two classes are needed at least", classes[0]));
    }
    if classes.len() * 2 > count {
        return Err(format!(
            "the label column has {} different values in {count} rows: name the column of classes with --label",
            classes.len()
        ));
    }
    let index: std::collections::HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let labels = rows.labels.iter().map(|label| index[label.as_str()]).collect();
    let table = Table { pixels: Pixels::F32(rows.values), labels, shape: Shape::flat(rows.features) };
    Ok((table, classes))
}

fn parse(bytes: &[u8], label: LabelColumn<'_>) -> Result<Rows, String> {
    let mut lines = lines(bytes);
    let (first_number, first) = lines.next().unwrap_or(Err("holds no rows".into()))?;
    let second = lines.clone().next().transpose()?.map(|(_, cells)| cells);
    let columns = first.len();
    let has_header = is_header(&first, second.as_deref(), label);
    let label = match label {
        LabelColumn::Absent => None,
        LabelColumn::Last => Some(columns - 1),
        LabelColumn::Named(name) => Some(first.iter().position(|cell| cell == name).ok_or_else(|| {
            format!("has no column `{name}` in its first line; --label names a column of the header")
        })?),
    };
    let features = columns - usize::from(label.is_some());
    if features == 0 {
        return Err("has one column only: a row is numbers and a label, separated by commas".into());
    }

    let header = has_header.then_some(&first);
    let mut rows = Rows { features, values: Vec::new(), labels: Vec::new() };
    let data = (!has_header).then(|| Ok((first_number, first.clone())));
    for line in data.into_iter().chain(lines) {
        let (number, cells) = line?;
        if cells.len() != columns {
            return Err(format!(
                "line {number} has {} cells, line {first_number} has {columns}",
                cells.len()
            ));
        }
        for (column, cell) in cells.into_iter().enumerate() {
            let place = |problem: String| {
                let name = header.map_or_else(String::new, |header| format!(" ({})", header[column]));
                format!("line {number}, column {}{name}: {problem}", column + 1)
            };
            if Some(column) != label {
                rows.values.push(parse_number(&cell).map_err(place)?);
            } else if cell.is_empty() {
                return Err(place("the label is missing".into()));
            } else {
                rows.labels.push(cell.into_owned());
            }
        }
    }
    if rows.values.is_empty() {
        return Err("holds a header, but no rows".into());
    }
    Ok(rows)
}

/// A header has text and no numbers; above labels that are numbers it is enough that its own is none.
fn is_header(first: &[Cow<'_, str>], second: Option<&[Cow<'_, str>]>, label: LabelColumn<'_>) -> bool {
    let is_number = |cell: &str| cell.parse::<f64>().is_ok();
    // Pandas leaves the name of a table's index empty.
    let is_text = |cell: &str| !cell.is_empty() && !is_number(cell);
    let (own_label, features) = match (label, first.split_last()) {
        (LabelColumn::Named(_), _) => return true,
        (LabelColumn::Last, Some((last, features))) => (Some(last), features),
        _ => (None, first),
    };
    let no_numbers =
        features.iter().any(|cell| is_text(cell)) && !features.iter().any(|cell| is_number(cell));
    let next_label = second.and_then(<[_]>::last);
    no_numbers || own_label.zip(next_label).is_some_and(|(own, next)| is_text(own) && is_number(next))
}

fn parse_number(cell: &str) -> Result<f32, String> {
    if cell.is_empty() {
        return Err("the cell is empty; fill it in or leave the row out".into());
    }
    let value: f32 = cell.parse().map_err(|_| format!("`{}` is not a number", shorten(cell)))?;
    if value.is_nan() {
        Err("the value is NaN; fill it in or leave the row out".into())
    } else if value.is_infinite() {
        Err(format!("{} is infinite as a 32-bit number", shorten(cell)))
    } else {
        Ok(value)
    }
}

/// A wrong cell may be a megabyte long: its beginning is enough to find it.
fn shorten(cell: &str) -> Cow<'_, str> {
    match cell.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &cell[..end]).into(),
        None => cell.into(),
    }
}

fn first_line(bytes: &[u8]) -> Result<Vec<Cow<'_, str>>, String> {
    lines(bytes).next().unwrap_or(Err("holds no rows".into())).map(|(_, cells)| cells)
}

type Line<'a> = Result<(usize, Vec<Cow<'a, str>>), String>;

/// The lines that are not blank, with their numbers from 1.
fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> + Clone {
    let without_mark = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    without_mark.split(|&byte| byte == b'\n').zip(1..).filter_map(|(line, number)| {
        let Ok(line) = std::str::from_utf8(line) else {
            return Some(Err(format!("line {number} is not text in UTF-8: is it a CSV file?")));
        };
        let line = line.trim_ascii();
        (!line.is_empty()).then(|| match cells(line) {
            Ok(cells) => Ok((number, cells)),
            Err(message) => Err(format!("line {number}: {message}")),
        })
    })
}

fn cells(line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    if !line.contains('"') {
        return Ok(line.split(',').map(|cell| cell.trim_ascii().into()).collect());
    }
    let mut cells = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let text = text.trim_ascii_start();
        if let Some(quoted) = text.strip_prefix('"') {
            let (cell, after) = unquote(quoted)?;
            cells.push(cell.into());
            let after = after.trim_ascii_start();
            rest = match after.strip_prefix(',') {
                Some(next) => Some(next),
                None if after.is_empty() => None,
                None => return Err("a comma is missing after a closing quote".into()),
            };
        } else {
            let (cell, next) = match text.split_once(',') {
                Some((cell, next)) => (cell, Some(next)),
                None => (text, None),
            };
            cells.push(cell.trim_ascii().into());
            rest = next;
        }
    }
    Ok(cells)
}

/// The text up to the closing quote, with doubled quotes made single, and what follows.
fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed in its line")?;
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Ok((cell, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn last(text: &str) -> Result<Rows, String> {
        parse(text.as_bytes(), LabelColumn::Last)
    }

    #[test]
    fn headers_are_recognised() {
        for (text, rows) in [
            ("1,2,a\n3,4,b", 2),
            ("x,y,class\n1,2,a\n3,4,b", 2),
            ("x,y,class\n1,2,0\n3,4,1", 2),
            // Pandas numbers nameless columns.
            ("0,1,class\n1,2,0\n3,4,1", 2),
            (",y,class\n1,2,a\n3,4,b", 2),
            ("1,2,0\n3,4,1", 2),
            ("\u{feff}x,y,class\r\n1,2,a\r\n\r\n3,4,b\r\n\r\n", 2),
        ] {
            let parsed = last(text).unwrap();
            assert_eq!((parsed.labels.len(), parsed.features), (rows, 2), "{text}");
            assert_eq!(parsed.values, [1.0, 2.0, 3.0, 4.0], "{text}");
        }
    }

    #[test]
    fn labels_may_stand_in_any_column() {
        let text = "kind,\"the \"\"x\"\"\",y\n\"a, b\",1, 2\nc,3,4";
        let parsed = parse(text.as_bytes(), LabelColumn::Named("kind")).unwrap();
        assert_eq!(parsed.labels, ["a, b", "c"]);
        assert_eq!(parsed.values, [1.0, 2.0, 3.0, 4.0]);
        let message = parse(text.as_bytes(), LabelColumn::Named("class")).unwrap_err();
        assert!(message.starts_with("has no column `class`"), "{message}");
    }

    #[test]
    fn a_bad_cell_is_told_with_its_place() {
        for (text, expected) in [
            ("", "holds no rows"),
            ("\n \n", "holds no rows"),
            ("x,y\n", "holds a header, but no rows"),
            ("a\nb", "has one column only"),
            ("1,2,a\n3,b", "line 2 has 2 cells, line 1 has 3"),
            ("1,2,a\n3,4,5,b", "line 2 has 4 cells, line 1 has 3"),
            ("x,y,class\n1,,a", "line 2, column 2 (y): the cell is empty"),
            ("x,y,class\n1,2,a\n\n1,nan,a", "line 4, column 2 (y): the value is NaN"),
            ("1,2,a\n-inf,2,a", "line 2, column 1: -inf is infinite"),
            ("1,2,a\n1e39,2,a", "line 2, column 1: 1e39 is infinite as a 32-bit number"),
            ("1,2,a\nred,2,a", "line 2, column 1: `red` is not a number"),
            ("1,red,a\n1,2,a", "line 1, column 2: `red` is not a number"),
            ("1,2,a\n1,2,", "line 2, column 3: the label is missing"),
            ("1,2,a\n1,\"2,a", "line 2: a quote is not closed"),
            ("1,2,a\n1,\"2\"3,a", "line 2: a comma is missing after a closing quote"),
        ] {
            let message = last(text).unwrap_err();
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
        assert!(
            parse(b"1,2,a\n\xff\xfe,2,a", LabelColumn::Last).unwrap_err().starts_with("line 2 is not text")
        );
    }

    fn table_of(labels: &[&str]) -> Result<(Table, Vec<String>), String> {
        let labels: Vec<String> = labels.iter().map(|&label| label.into()).collect();
        classify(Rows { features: 1, values: vec![0.0; labels.len()], labels })
    }

    #[test]
    fn classes_are_sorted_as_numbers_or_as_text() {
        let (table, classes) = table_of(&["10", "9", "9", "10", "9", "9", "9", "9", "9", "9"]).unwrap();
        assert_eq!(classes, ["9", "10"]);
        assert_eq!(table.labels, [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        let (_, classes) = table_of(&["10", "9", "x", "10", "9", "9", "9", "9", "9", "9"]).unwrap();
        assert_eq!(classes, ["10", "9", "x"]);
    }

    #[test]
    fn labels_that_are_no_classes_are_refused() {
        assert!(table_of(&["a"; 9]).unwrap_err().starts_with("has 9 rows"));
        assert!(table_of(&["a"; 10]).unwrap_err().starts_with("every label is `a`"));
        let prices = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
        assert!(table_of(&prices).unwrap_err().contains("10 different values in 10 rows"));
    }

    #[test]
    fn a_file_is_split_and_predicted_from() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("points.csv");
        let rows: String = (0..100).map(|row| format!("{row},{},{}\n", row * 2, row % 2)).collect();
        std::fs::write(&file, &rows).unwrap();
        let splits = load(&file, None).unwrap();
        assert_eq!(splits.parts().map(|(_, part)| part.len()), [70, 15, 15]);
        assert_eq!(splits.name, "points");
        let values = unlabelled(&file, None, 2).unwrap();
        assert_eq!(values[..6], [0.0, 0.0, 1.0, 2.0, 2.0, 4.0]);
        assert_eq!(unlabelled(&file, None, 3).unwrap()[..3], [0.0, 0.0, 0.0]);
        let message = unlabelled(&file, None, 5).unwrap_err().to_string();
        assert!(message.ends_with("has 3 numbers in a row, the model takes 5"), "{message}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for label in [LabelColumn::Last, LabelColumn::Named("x"), LabelColumn::Absent] {
                let _ = parse(&bytes, label).map(classify);
            }
        }

        #[test]
        fn nothing_like_a_table_panics(text in "[0-9a-b\",\\n\\r .e-]{0,100}") {
            for label in [LabelColumn::Last, LabelColumn::Named("a"), LabelColumn::Absent] {
                let _ = parse(text.as_bytes(), label).map(classify);
            }
        }

        #[test]
        fn numbers_come_back(values in proptest::collection::vec(any::<f32>(), 2..40)) {
            let finite: Vec<f32> = values.into_iter().filter(|value| value.is_finite()).collect();
            prop_assume!(!finite.is_empty());
            let text: String = finite.iter().map(|value| format!("{value:e},a\n")).collect();
            prop_assert_eq!(last(&text).unwrap().values, finite);
        }
    }
}
