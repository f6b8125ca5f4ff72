//! Killed, interrupted, continued: to the same bits.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{argument, events, failure, only, slicewise, told};

const RUN: [&str; 9] =
    ["train", "--epochs", "30", "--hidden", "64,32", "--dropout", "0.1", "--optimizer", "adam"];

fn whole(directory: &Path) -> (Vec<u8>, Duration) {
    let out = argument(&directory.join("whole"));
    let begun = Instant::now();
    events(&[&RUN[..], &["--out", &out]].concat());
    (fs::read(directory.join("whole/model.safetensors")).unwrap(), begun.elapsed())
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (model, time) = whole(directory.path());
    let mut resumed = 0;
    for round in 0..6u32 {
        let path = directory.path().join(format!("killed-{round}"));
        let out = argument(&path);
        let mut arguments = [&RUN[..], &["--out", &out]].concat();
        // Killed again and again, at moments that no two runs share, then left alone.
        let mut ended = false;
        for kill in 0..3u32 {
            let mut child =
                slicewise(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(time.mul_f64(f64::from(1 + (round * 7 + kill * 5) % 11) / 24.0));
            child.kill().unwrap();
            ended = child.wait().unwrap().success();
            if path.join("checkpoint.safetensors").exists() {
                arguments = vec!["train", "--resume", &out];
                resumed += 1;
            }
            if ended {
                break;
            }
        }
        if !ended {
            events(&arguments);
        }
        assert!(fs::read(path.join("model.safetensors")).unwrap() == model, "round {round}");
        let log = fs::read_to_string(path.join("metrics.jsonl")).unwrap();
        let epochs = log.lines().filter(|line| line.contains("\"event\":\"epoch\"")).count();
        assert_eq!(epochs, 30, "every epoch is measured once");
        assert!(log.lines().last().unwrap().contains("\"event\":\"done\""));
    }
    assert!(resumed > 6, "the runs were killed too early to tell anything: {resumed}");
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    let run = ["train", "--epochs", "100000", "--hidden", "32", "--out", &out];
    let child = slicewise(&run).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let model = directory.path().join("run/model.safetensors");
    let patience = Instant::now();
    while !model.exists() {
        assert!(patience.elapsed() < Duration::from_secs(30), "no epoch ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let message = told(&child.wait_with_output().unwrap(), 1);
    assert!(message.starts_with("slicewise: interrupted in epoch "), "{message}");
    assert!(message.ends_with(&format!("; go on with: slicewise train --resume {out}")), "{message}");
    // What is there can be used, and gone on with.
    events(&["eval", &out]);
    let log = fs::read_to_string(directory.path().join("run/metrics.jsonl")).unwrap();
    let done = log.lines().count() - 1;
    let resumed = events(&["train", "--resume", &out, "--epochs", &(done + 2).to_string()]);
    assert!(!only(&resumed, "epoch").is_empty());
}

#[test]
fn a_longer_run_is_a_shorter_one_that_went_on() {
    let directory = tempfile::tempdir().unwrap();
    let (model, _) = whole(directory.path());
    let out = argument(&directory.path().join("run"));
    let mut short = RUN.to_vec();
    short[2] = "11";
    events(&[&short[..], &["--out", &out]].concat());
    let resumed = events(&["train", "--resume", &out, "--epochs", "30"]);
    assert_eq!(only(&resumed, "epoch").len(), 19);
    assert!(fs::read(directory.path().join("run/model.safetensors")).unwrap() == model);
    // A run that is complete goes on to what it is.
    events(&["train", "--resume", &out, "--epochs", "30"]);
    assert!(fs::read(directory.path().join("run/model.safetensors")).unwrap() == model);
    let message = failure(&["train", "--resume", &out, "--epochs", "29"], 2);
    assert!(message.contains("30 epochs are done already"), "{message}");
}

/// Cut after every few epochs: with a schedule of its own, whitened inputs, and a best epoch before the cut.
#[test]
fn schedules_components_and_best_weights_survive_a_cut() {
    let directory = tempfile::tempdir().unwrap();
    let model = |name: &str| fs::read(directory.path().join(name).join("model.safetensors")).unwrap();
    let out = |name: &str| argument(&directory.path().join(name));
    let run = [
        "train",
        "--hidden",
        "12",
        "--lr",
        "0.3",
        "--schedule",
        "step",
        "--warm-up",
        "2",
        "--pca",
        "24",
        "--whiten",
        "--patience",
        "6",
    ];
    let whole = events(&[&run[..], &["--epochs", "40", "--out", &out("whole")]].concat());
    events(&[&run[..], &["--epochs", "2", "--out", &out("cut")]].concat());
    let mut resumed = Vec::new();
    for epochs in ["3", "5", "40"] {
        resumed = events(&["train", "--resume", &out("cut"), "--epochs", epochs]);
    }
    assert!(model("cut") == model("whole"));
    for name in ["best_epoch", "stopped_early", "test_acc", "test_loss"] {
        assert_eq!(only(&resumed, "done")[0][name], only(&whole, "done")[0][name], "{name}");
    }
    assert_eq!(only(&whole, "done")[0]["stopped_early"], true);
    // Its patience is at its end, until there is more of it.
    let again = events(&["train", "--resume", &out("cut")]);
    assert_eq!(only(&again, "epoch").len(), 0);
    let more = events(&["train", "--resume", &out("cut"), "--epochs", "40", "--patience", "8"]);
    assert!(!only(&more, "epoch").is_empty());
}

/// A cosine knows its end: stopped by a kill, not by --epochs, it goes on to the same bits.
#[test]
fn a_cosine_goes_on_after_an_interruption() {
    let directory = tempfile::tempdir().unwrap();
    let out = |name: &str| argument(&directory.path().join(name));
    let run = ["train", "--epochs", "400", "--hidden", "16", "--schedule", "cosine"];
    let child = slicewise(&[&run[..], &["--out", &out("cut")]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = directory.path().join("cut/metrics.jsonl");
    let patience = Instant::now();
    while fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 5 {
        assert!(patience.elapsed() < Duration::from_secs(30), "no epoch ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    told(&child.wait_with_output().unwrap(), 1);
    let resumed = events(&["train", "--resume", &out("cut")]);
    let whole = events(&[&run[..], &["--out", &out("whole")]].concat());
    assert!(only(&resumed, "epoch").len() < 400, "it was not interrupted");
    assert_eq!(only(&resumed, "done")[0]["test_loss"], only(&whole, "done")[0]["test_loss"]);
    let model = |name: &str| fs::read(directory.path().join(name).join("model.safetensors")).unwrap();
    assert!(model("cut") == model("whole"));
}

#[test]
fn a_run_goes_on_with_its_own_data_only() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    events(&["train", "--data", "spiral", "--epochs", "2", "--out", &out]);
    let message = failure(&["train", "--resume", &out, "--data", "digits"], 2);
    assert!(message.ends_with("digits is not the data that this run began with"), "{message}");
}

#[test]
fn a_damaged_checkpoint_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    events(&["train", "--data", "spiral", "--epochs", "2", "--out", &out]);
    let path = directory.path().join("run/checkpoint.safetensors");
    let whole = fs::read(&path).unwrap();
    for end in [0, 5, 100, whole.len() - 1] {
        fs::write(&path, &whole[..end]).unwrap();
        let message = failure(&["train", "--resume", &out, "--epochs", "3"], 2);
        assert!(message.contains("checkpoint.safetensors: is "), "{message}");
        assert_eq!(fs::read(&path).unwrap().len(), end);
    }
}
