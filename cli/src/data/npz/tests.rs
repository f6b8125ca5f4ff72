use super::*;
use proptest::prelude::*;
use std::io::Write;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An array as NumPy writes it.
fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (text.len() + 11) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), data].concat()
}

fn npz(method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const STORED: CompressionMethod = CompressionMethod::Stored;

fn floats(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(f32::to_le_bytes).collect()
}

fn twenty() -> [(&'static str, Vec<u8>); 2] {
    let x = npy("<f4", false, "(20, 2)", &floats((0..40).map(|i| i as f32)));
    let y =
        npy("<i8", false, "(20,)", &(0..20i64).flat_map(|i| (i % 2 * 3).to_le_bytes()).collect::<Vec<_>>());
    [("x", x), ("y", y)]
}

fn message(arrays: &[(&str, Vec<u8>)]) -> String {
    read(&npz(STORED, arrays)).unwrap_err()
}

#[test]
fn arrays_become_a_table_stored_or_deflated() {
    for method in [STORED, CompressionMethod::Deflated] {
        let (table, classes, test) = read(&npz(method, &twenty())).unwrap();
        assert_eq!(table.pixels, Pixels::F32((0..40).map(|i| i as f32).collect()));
        assert_eq!(table.labels, [0, 1].repeat(10));
        assert_eq!((table.shape, classes, test), (Shape::flat(2), vec!["0".to_string(), "3".into()], None));
    }
}

#[test]
fn a_file_is_split_like_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("points.npz");
    std::fs::write(&file, npz(STORED, &twenty())).unwrap();
    let splits = load(&file).unwrap();
    assert_eq!(splits.parts().map(|(_, part)| part.len()), [14, 3, 3]);
    assert_eq!(splits.name, "points");
    std::fs::write(&file, b"PK").unwrap();
    let failure = load(&file).unwrap_err().to_string();
    assert!(failure.contains("points.npz: is no .npz file"), "{failure}");
}

#[test]
fn every_type_and_order_is_read() {
    let [(_, x), y] = twenty();
    let (plain, ..) = read(&npz(STORED, &[("x", x), y.clone()])).unwrap();
    let wide: Vec<u8> = (0..40).flat_map(|i| f64::from(i).to_be_bytes()).collect();
    let fortran = floats((0..2).flat_map(|j| (0..20).map(move |i| (2 * i + j) as f32)));
    for x in [npy(">f8", false, "(20, 2)", &wide), npy("<f4", true, "(20, 2)", &fortran)] {
        let (table, ..) = read(&npz(STORED, &[("x", x), y.clone()])).unwrap();
        assert_eq!(table, plain);
    }
    let bytes: Vec<u8> = (0..240).collect();
    for (shape, expected) in [
        ("(20, 12)", Shape::flat(12)),
        ("(20, 3, 4)", Shape { channels: 1, height: 3, width: 4 }),
        ("(20, 3, 2, 2)", Shape { channels: 3, height: 2, width: 2 }),
    ] {
        let (table, ..) = read(&npz(STORED, &[("x", npy("|u1", false, shape, &bytes)), y.clone()])).unwrap();
        assert_eq!((table.shape, table.pixels), (expected, Pixels::U8(bytes.clone())));
    }
    for (descr, data) in [
        ("|u1", (0..20u8).map(|i| i % 2 * 3).collect::<Vec<u8>>()),
        ("<i2", (0..20i16).flat_map(|i| (i % 2 * 3).to_le_bytes()).collect()),
        (">u8", (0..20u64).flat_map(|i| (i % 2 * 3).to_be_bytes()).collect()),
    ] {
        let labels = npy(descr, false, "(20, 1)", &data);
        let [x, _] = twenty();
        assert_eq!(read(&npz(STORED, &[x, ("y", labels)])).unwrap().0, plain, "{descr}");
    }
}

/// Three dimensions in Fortran's order: `x[i, j, k] = 100 i + 10 j + k`.
#[test]
fn columns_first_become_rows_first() {
    let mut data = Vec::new();
    for k in 0..2u8 {
        for j in 0..3u8 {
            data.extend((0..20u8).map(|i| i * 10 + j * 2 + k));
        }
    }
    let [_, y] = twenty();
    let (table, ..) = read(&npz(STORED, &[("x", npy("|u1", true, "(20, 3, 2)", &data)), y])).unwrap();
    let expected = (0..20u8).flat_map(|i| (0..6).map(move |jk| i * 10 + jk)).collect();
    assert_eq!(table.pixels, Pixels::U8(expected));
}

#[test]
fn a_test_set_of_its_own_is_kept() {
    let [(_, x), (_, y)] = twenty();
    let test_x = npy("<f4", false, "(2, 2)", &floats([1.0, 2.0, 3.0, 4.0].into_iter()));
    let test_y = |label: u8| npy("|u1", false, "(2,)", &[3, label]);
    let arrays = |label| {
        [
            ("x_train", x.clone()),
            ("y_train", y.clone()),
            ("x_test", test_x.clone()),
            ("y_test", test_y(label)),
        ]
    };
    let (train, _, test) = read(&npz(STORED, &arrays(0))).unwrap();
    assert_eq!((train.len(), test.unwrap().labels), (20, vec![1, 0]));
    assert_eq!(message(&arrays(7)), "label 1 of y_test is 7, which no training row has");
}

#[test]
fn what_cannot_be_used_is_told_in_one_line() {
    let [x, y] = twenty();
    let with_x = |x: Vec<u8>| message(&[("x", x), y.clone()]);
    let with_y = |y: Vec<u8>| message(&[x.clone(), ("y", y)]);
    let ones = floats([1.0; 40].into_iter());
    let mut nan = ones.clone();
    nan[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
    for (message, expected) in [
        (message(core::slice::from_ref(&x)), "holds no array y, but x: np.savez"),
        (message(&[("a", x.1.clone()), ("b", x.1.clone())]), "holds no array x, but "),
        (with_x(b"\x93NUMPX\x01\x00\x00\x00".to_vec()), "x: is no array of NumPy"),
        (with_x(x.1[..50].to_vec()), "x: is cut short"),
        (with_x(x.1[..x.1.len() - 1].to_vec()), "x: its header promises 160 bytes of data, 159"),
        (with_x([&x.1[..], &[0]].concat()), "x: its header promises 160 bytes of data, 161"),
        (with_x(npy("<f4", false, "(0, 2)", &[])), "x: holds no data"),
        (with_x(npy("<f4", false, "(20,)", &ones[..80])), "x: has 1 dimensions"),
        (with_x(npy("<i4", false, "(20, 2)", &ones)), "x: is int32: uint8, float32 or float64"),
        (with_x(npy("|O", false, "(20, 2)", &ones)), "x: holds Python objects"),
        (with_x(npy("<f4", false, "(20, 2)", &nan)), "x: row 2, feature 1 is NaN"),
        (with_x(npy("<f4", false, "(10, 4)", &ones)), "x has 10 rows, y has 20 labels"),
        (
            with_x(npy("<f4", false, "(9223372036854775807, 9)", &ones)),
            "x: its header names an impossible shape",
        ),
        (with_x(npy("<f4", false, "((((20), 2)))", &ones)), "x: holds records, not numbers"),
        (with_y(npy("<f4", false, "(20,)", &ones[..80])), "y: is float32: labels are integers"),
        (with_y(npy("|u1", false, "(20,)", &[7; 20])), "every label of y is 7"),
        (with_y(npy("|u1", false, "(20,)", &(0..20).collect::<Vec<u8>>())), "y has 20 different values"),
        (with_y(npy("|u1", false, "(10, 2)", &[1; 20])), "y: has the shape [10, 2]"),
    ] {
        assert!(message.starts_with(expected), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&npz(STORED, &[("x", bytes.clone()), ("y", bytes)]));
    }

    #[test]
    fn no_change_of_a_few_bytes_panics(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        deflated in any::<bool>(),
    ) {
        let method = if deflated { CompressionMethod::Deflated } else { STORED };
        let mut bytes = npz(method, &twenty());
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = read(&bytes);
    }

    /// The checksum of the zip does not stand before the header: a wrong one is read first.
    #[test]
    fn no_header_panics(text in "[\\{\\}\\(\\)\\[\\]'a-z_:, 0-9TF<>|]{0,150}") {
        let array = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
        let _ = read(&npz(STORED, &[("x", array.clone()), ("y", array)]));
    }
}
