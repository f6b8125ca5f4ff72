//! `slicewise report`, from outside.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]

mod support;

use std::fs;
use support::{argument, events, failure, names};

/// A finished run's page is built again to the same bytes, with its mistakes and its first layer.
#[test]
fn a_report_is_rebuilt_from_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    events(&["train", "--epochs", "2", "--hidden", "16", "--out", &out]);
    let path = directory.path().join("run/report.html");
    let page = fs::read_to_string(&path).unwrap();
    for part in
        ["Confusion on the test set", "The surest mistakes", "First-layer weights", "data:image/png;base64,"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    fs::remove_file(&path).unwrap();
    let events = events(&["report", &out]);
    assert_eq!(events[0]["event"], "report");
    assert!(fs::read_to_string(&path).unwrap() == page);
}

#[test]
fn what_cannot_be_reported_is_told_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let empty = argument(directory.path());
    assert!(failure(&["report", &empty], 2).contains("holds nothing to report"));
    assert!(failure(&["report", &format!("{empty}/missing")], 2).contains("is no directory"));
    fs::write(directory.path().join("doctor.jsonl"), "{\"event\":\"check\"}\n{}\n").unwrap();
    assert!(failure(&["report", &empty], 2).contains("doctor.jsonl: line 1: missing field"));
    assert_eq!(names(directory.path()), ["doctor.jsonl"]);
}
