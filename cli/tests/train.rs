//! `slicewise train`, from outside.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]

mod support;

use serde_json::Value;
use std::fs;
use support::{argument, events, names, only};

/// The promise of the default run: 0.97 in the mean over three seeds, none below 0.96, and no allocation in a step.
#[test]
fn the_digits_are_learned() {
    let mut sum = 0.0;
    for seed in ["1", "2", "3"] {
        let events = events(&["train", "--seed", seed]);
        let done = only(&events, "done")[0];
        let accuracy = done["test_acc"].as_f64().unwrap();
        assert!(accuracy >= 0.96, "seed {seed}: {accuracy}");
        assert_eq!(done["heap_allocations_in_steps"], 0);
        sum += accuracy;
    }
    assert!(sum / 3.0 >= 0.97, "{}", sum / 3.0);
}

#[test]
fn events_have_what_is_promised() {
    let events = events(&["train", "--epochs", "2", "--hidden", "16"]);
    assert_eq!(events.len(), 4);
    let start = only(&events, "start")[0];
    // 64-16 with batch norm and a linear layer to 10 classes.
    assert_eq!(start["params"], 64 * 16 + 16 + 2 * 16 + 16 * 10 + 10);
    assert!(start["arena_bytes"].as_u64().unwrap() > 4 * start["params"].as_u64().unwrap());
    assert!(["avx512", "avx2", "portable"].contains(&start["level"].as_str().unwrap()));
    for (epoch, number) in only(&events, "epoch").into_iter().zip(1..) {
        assert_eq!(epoch["epoch"], number);
        for key in ["train_loss", "val_loss", "train_acc", "val_acc", "lr", "samples_per_s", "seconds"] {
            assert!(epoch[key].as_f64().unwrap() > 0.0, "{key}");
        }
        assert!(epoch["update_ratio"]["layers.0.weight"].as_f64().unwrap() > 0.0);
    }
    let epochs = only(&events, "epoch");
    assert!(epochs[1]["lr"].as_f64() < epochs[0]["lr"].as_f64());
}

#[test]
fn every_parameter_has_its_update_ratio() {
    let events = events(&["train", "--epochs", "2", "--hidden", "16"]);
    for epoch in only(&events, "epoch") {
        let ratios = epoch["update_ratio"].as_object().unwrap();
        let tensors: Vec<&str> = ratios.keys().map(String::as_str).collect();
        let expected = ["0.bias", "0.weight", "1.bias", "1.weight", "3.bias", "3.weight"];
        assert_eq!(tensors, expected.map(|name| format!("layers.{name}")));
        assert!(ratios.values().all(|ratio| ratio.as_f64().is_some_and(|ratio| ratio > 0.0)));
    }
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_others() {
    let directory = tempfile::tempdir().unwrap();
    let model = |name: &str, seed: &str, more: &[&str]| {
        let out = argument(&directory.path().join(name));
        let mut arguments = vec!["train", "--epochs", "2", "--dropout", "0.1", "--seed", seed, "--out", &out];
        arguments.extend(more);
        events(&arguments);
        fs::read(directory.path().join(name).join("model.safetensors")).unwrap()
    };
    let first = model("a", "7", &["--threads", "1"]);
    assert!(first == model("b", "7", &["--threads", "3"]));
    assert!(first != model("c", "8", &[]));
    let files = ["checkpoint.safetensors", "metrics.jsonl", "model.safetensors", "report.html"];
    assert_eq!(names(&directory.path().join("a")), files);
}

/// Every kind of network and every update rule trains, is saved and comes back.
#[test]
fn every_choice_works() {
    let directory = tempfile::tempdir().unwrap();
    let activations = ["relu", "leaky-relu", "elu", "sigmoid", "tanh", "identity", "maxout"];
    let optimizers = ["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"];
    let inits = ["auto", "he", "xavier", "glorot-uniform", "lecun", "normal:0.1", "auto"];
    for ((activation, optimizer), init) in activations.into_iter().zip(optimizers).zip(inits) {
        let out = argument(&directory.path().join(activation));
        let norm = if activation == "sigmoid" || activation == "maxout" { "none" } else { "batch" };
        let base = ["train", "--epochs", "3", "--hidden", "32,16", "--out", &out, "--norm", norm];
        let more = ["--activation", activation, "--optimizer", optimizer, "--init", init, "--dropout", "0.1"];
        let trained = events(&[&base[..], &more].concat());
        let done = only(&trained, "done")[0].clone();
        assert!(done["test_acc"].as_f64().unwrap() > 0.3, "{activation}: {done}");
        let longer = events(&["train", "--resume", &out, "--epochs", "4"]);
        assert_eq!(only(&longer, "epoch")[0]["epoch"], 4);
        let test = &only(&longer, "done")[0];
        let evaluated = &events(&["eval", &out])[0];
        assert_eq!(evaluated["loss"], test["test_loss"], "{activation}");
        assert_eq!(evaluated["acc"], test["test_acc"], "{activation}");
    }
}

#[test]
fn predictions_agree_with_the_evaluation() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("run"));
    let trained = events(&["train", "--epochs", "3", "--out", &out]);
    let evaluated = &events(&["eval", &out, "--threads", "2"])[0];
    assert_eq!(evaluated["acc"], only(&trained, "done")[0]["test_acc"]);
    let confusion: Vec<Vec<u64>> = serde_json::from_value(evaluated["confusion"].clone()).unwrap();
    let right: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
    assert_eq!(confusion.iter().flatten().sum::<u64>(), 300);
    assert_eq!(right as f64 / 300.0, evaluated["acc"].as_f64().unwrap());

    let predicted = events(&["predict", &out]);
    assert_eq!(predicted.len(), 300);
    let mut columns = vec![0u64; 10];
    for (index, row) in predicted.iter().enumerate() {
        assert_eq!(row["index"], index);
        let probabilities: Vec<f64> = serde_json::from_value(row["probabilities"].clone()).unwrap();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        let class: usize = row["class"].as_str().unwrap().parse().unwrap();
        assert!(probabilities.iter().all(|p| *p <= probabilities[class]));
        columns[class] += 1;
    }
    let expected: Vec<u64> = (0..10).map(|class| confusion.iter().map(|row| row[class]).sum()).collect();
    assert_eq!(columns, expected);
    // The bits do not depend on the threads.
    assert_eq!(predicted, events(&["predict", &out, "--threads", "1"]));
    assert_eq!(events(&["predict", &out, "--split", "all"]).len(), 1797);
}

#[test]
fn tables_are_learned_and_predicted_from_without_labels() {
    let directory = tempfile::tempdir().unwrap();
    let (table, rows) = (directory.path().join("points.csv"), directory.path().join("rows.csv"));
    let point = |i: i32| (f64::from(i % 20) - 9.5, f64::from(i / 20) - 9.5);
    let lines: String = (0..400)
        .map(|i| {
            let (x, y) = point(i);
            format!("{x},{y},{}\n", if x * y > 0.0 { "same" } else { "other" })
        })
        .collect();
    fs::write(&table, format!("x,y,sign\n{lines}")).unwrap();
    fs::write(&rows, "x,y\n5,5\n5,-5\n-5,-5\n").unwrap();
    let out = argument(&directory.path().join("run"));
    let trained = events(&["train", "--data", &format!("csv:{}", argument(&table)), "--out", &out]);
    assert!(only(&trained, "done")[0]["test_acc"].as_f64().unwrap() > 0.9);
    let predicted = events(&["predict", &out, "--data", &format!("csv:{}", argument(&rows))]);
    let classes: Vec<&Value> = predicted.iter().map(|row| &row["class"]).collect();
    assert_eq!(classes, ["same", "other", "same"]);
}
