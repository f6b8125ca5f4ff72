//! What cannot be done is told in one line, with the exit status, and leaves nothing half written.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]

mod support;

use std::fs;
use std::path::Path;
use support::{argument, events, failure, names};

/// Files of 20 training and 10 test images of 2 x 2 pixels, ten classes.
fn write_idx(directory: &Path) {
    for (name, count) in [("train", 20u8), ("t10k", 10)] {
        let pixels: Vec<u8> = (0..count * 4).map(|i| i.wrapping_mul(37)).collect();
        let labels: Vec<u8> = (0..count).map(|i| i % 10).collect();
        let images = [&[0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 2], &pixels[..]].concat();
        fs::write(directory.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
        let labels = [&[0, 0, 8, 1, 0, 0, 0, count], &labels[..]].concat();
        fs::write(directory.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Training on this data must fail with status 2, and must not even make the directory for its results.
fn refused(data: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    let message = failure(&["train", "--data", data, "--out", &out, "--epochs", "1"], 2);
    assert_eq!(names(directory.path()), [""; 0], "{data}");
    message
}

#[test]
fn damaged_idx_files() {
    let directory = tempfile::tempdir().unwrap();
    let source = format!("idx:{}", argument(directory.path()));
    let images = directory.path().join("train-images-idx3-ubyte");
    write_idx(directory.path());
    events(&["train", "--data", &source, "--epochs", "1", "--hidden", "4"]);

    let whole = fs::read(&images).unwrap();
    fs::write(&images, &whole[..50]).unwrap();
    assert!(refused(&source).contains("train-images-idx3-ubyte"));
    fs::remove_file(&images).unwrap();
    assert!(refused(&source).contains("train-images"));
    fs::write(directory.path().join("train-images-idx3-ubyte.gz"), b"\x1f\x8b\x08\0corrupt").unwrap();
    assert!(refused(&source).contains("train-images-idx3-ubyte.gz"));
    fs::remove_file(directory.path().join("train-images-idx3-ubyte.gz")).unwrap();
    fs::write(&images, &whole).unwrap();
    // A class in the test that the training does not have.
    let labels = directory.path().join("t10k-labels-idx1-ubyte");
    let mut bytes = fs::read(&labels).unwrap();
    bytes[8] = 200;
    fs::write(&labels, bytes).unwrap();
    assert!(refused(&source).contains("test label 0 is 200"));
    assert!(refused("idx:no/such/place").contains("no/such/place"));
    assert!(refused("cifar10:no/such/place").contains("no/such/place"));
}

#[test]
fn damaged_tables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.csv");
    let source = format!("csv:{}", argument(&file));
    let rows: String = (0..30).map(|i| format!("{i},{},{}\n", i * 2, i % 2)).collect();
    for (more, expected) in [
        ("nan,1,0\n", "line 31, column 1: the value is NaN"),
        ("1,x,0\n", "line 31, column 2: `x` is not a number"),
        ("1,0\n", "line 31 has 2 cells, line 1 has 3"),
    ] {
        fs::write(&file, format!("{rows}{more}")).unwrap();
        assert!(refused(&source).contains(expected));
    }
    fs::remove_file(&file).unwrap();
    assert!(refused(&source).ends_with("t.csv: no such file or directory"));
}

#[test]
fn damaged_archives() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.npz");
    let source = format!("npz:{}", argument(&file));
    fs::write(&file, b"PK\x03\x04 and no more").unwrap();
    assert!(refused(&source).contains("t.npz: is no .npz file"));
    fs::remove_file(&file).unwrap();
    assert!(refused(&source).ends_with("t.npz: no such file or directory"));
}

#[test]
fn a_model_that_does_not_fit_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    events(&["train", "--epochs", "1", "--out", &out]);
    for command in ["eval", "predict"] {
        let message = failure(&[command, &out, "--data", "spiral"], 2);
        assert!(
            message
                .ends_with("takes 8x8 pixels, but spiral has 2 features: choose the data it was trained for")
        );
        let message = failure(&[command, &argument(&directory.path().join("none"))], 2);
        assert!(message.ends_with("none: no such file or directory"), "{message}");
    }
    let table = directory.path().join("t.csv");
    let row = "1,".repeat(64);
    let rows: String = (0..40).map(|i| format!("{row}{}\n", ["cat", "dog"][i % 2])).collect();
    fs::write(&table, rows).unwrap();
    let source = format!("csv:{}", argument(&table));
    let message = failure(&["eval", &out, "--data", &source], 2);
    assert!(message.contains("takes 8x8 pixels") || message.contains("does not know the class"), "{message}");
    let model = directory.path().join("run/model.safetensors");
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..bytes.len() - 3]).unwrap();
    assert!(failure(&["eval", &out], 2).contains("model.safetensors: is cut short"));
}

#[test]
fn directories_that_cannot_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let message = failure(&["train", "--out", &argument(&file)], 2);
    assert!(message.ends_with("file: is no directory: --out needs one"), "{message}");
    let message = failure(&["train", "--epochs", "1", "--out", &argument(&file.join("run"))], 2);
    assert!(message.contains("cannot make this directory: "), "{message}");
    let message = failure(&["train", "--resume", &argument(directory.path())], 2);
    assert!(message.contains("holds no checkpoint.safetensors"), "{message}");

    let out = argument(&directory.path().join("run"));
    events(&["train", "--epochs", "1", "--out", &out]);
    let before = fs::read(directory.path().join("run/model.safetensors")).unwrap();
    let message = failure(&["train", "--epochs", "1", "--seed", "2", "--out", &out], 2);
    assert!(message.contains("holds a run already: go on with it by --resume "), "{message}");
    assert!(fs::read(directory.path().join("run/model.safetensors")).unwrap() == before);
}

/// The device that is always full stands where the next checkpoint is being written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_last_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let out = argument(&run);
    events(&["train", "--epochs", "2", "--out", &out]);
    let files = ["checkpoint.safetensors", "model.safetensors"].map(|name| run.join(name));
    let before = files.clone().map(|file| fs::read(file).unwrap());
    std::os::unix::fs::symlink("/dev/full", run.join(".checkpoint.safetensors.partial")).unwrap();
    let message = failure(&["train", "--resume", &out, "--epochs", "5"], 1);
    assert!(
        message.ends_with("cannot write: the disk is full; what was saved before is untouched"),
        "{message}"
    );
    assert!(files.map(|file| fs::read(file).unwrap()) == before);
    assert_eq!(names(&run), ["checkpoint.safetensors", "metrics.jsonl", "model.safetensors", "report.html"]);
    events(&["train", "--resume", &out, "--epochs", "5"]);
}

#[test]
fn training_that_diverges() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    let line = ["train", "--norm", "none", "--lr", "100", "--json", "--out", &out];
    let message = failure(&line, 1);
    assert!(message.starts_with("slicewise: epoch 1: the loss "), "{message}");
    assert!(message.ends_with(": choose an --lr smaller than 100"), "{message}");
}

#[test]
fn networks_that_cannot_be() {
    let message = failure(&["train", "--batch", "1"], 2);
    assert!(message.ends_with("batch norm needs --batch 2 or more; or choose --norm none"), "{message}");
    let wide = vec!["65536"; 100].join(",");
    let message = failure(&["train", "--hidden", &wide], 2);
    assert!(
        message.contains("of memory, which is not there: choose a smaller --hidden or --batch"),
        "{message}"
    );
    failure(&["train", "--lr", "0"], 2);
    failure(&["train", "--no-such-option"], 2);
}
