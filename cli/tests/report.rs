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

/// The journals of a search's shards are one study, those of another search are drawn beside it.
#[test]
fn journals_are_merged_or_compared() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| argument(&directory.path().join(name));
    let search = ["search", "--data", "spiral", "--trials", "6", "--rounds", "1", "--epochs", "1"];
    for (file, more) in
        [("a", ["--shard", "0/2"]), ("b", ["--shard", "1/2"]), ("grid", ["--strategy", "grid"])]
    {
        events(&[&search[..], &more, &["--journal", &path(file)]].concat());
    }
    let (a, b, grid, out) = (path("a"), path("b"), path("grid"), path("page.html"));
    let page = |journals: &[&str]| {
        let named = journals.iter().flat_map(|journal| ["--journal", *journal]);
        events(&[&["report"], &named.collect::<Vec<_>>()[..], &["--out", &out]].concat());
        fs::read_to_string(&out).unwrap()
    };
    assert!(page(&[&a]).contains("<b>3</b><span>trials complete</span>"));
    let merged = page(&[&a, &b]);
    assert!(merged.contains("<b>6</b><span>trials complete</span>") && merged.contains("Strategy: random<"));
    assert!(page(&[&a, &grid, &b]).contains("Strategy: random against grid<"));
    fs::write(&b, "no journal\n").unwrap();
    let before = fs::read(&out).unwrap();
    let message = failure(&["report", "--journal", &a, "--journal", &b, "--out", &out], 2);
    assert!(message.contains("/b: "), "{message}");
    assert!(fs::read(&out).unwrap() == before);
    failure(&["report"], 2);
}
