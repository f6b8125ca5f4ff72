//! `slicewise doctor`: a healthy network passes, and every fault is named by the check that it belongs to.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]

mod support;

use serde_json::Value;
use std::fs;
use support::{argument, events, failure, names, slicewise, text};

const NAMES: [&str; 9] = [
    "gradient",
    "initial-loss",
    "regularization",
    "overfit-small",
    "learning-rate",
    "activations",
    "update-ratio",
    "loss-curve",
    "generalization-gap",
];
const SEEDS: [&str; 3] = ["1", "2", "3"];
/// A small network without batch norm, which would mend some of the faults.
const PLAIN: [&str; 4] = ["--hidden", "32", "--norm", "none"];

/// The checks, with the exit status that belongs to them.
fn checks(arguments: &[&str]) -> Vec<Value> {
    let output = slicewise(&["doctor", "--json"]).args(arguments).output().unwrap();
    let checks: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = text(&output.stderr);
    assert_eq!(
        checks.iter().map(|check| check["name"].as_str().unwrap()).collect::<Vec<_>>(),
        NAMES,
        "{told}"
    );
    let failed = checks.iter().any(|check| check["verdict"] == "fail");
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{told}");
    assert_eq!(told.lines().count(), usize::from(failed), "{told}");
    checks
}

/// The checks in words, without what is drawn.
fn words(checks: &[Value]) -> String {
    let line = |check: &Value| {
        format!("{} {}: {}; {}", check["verdict"], check["name"], check["measured"], check["advice"])
    };
    checks.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn named<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    checks.iter().find(|check| check["name"] == name).unwrap()
}

fn verdict<'a>(checks: &'a [Value], name: &str) -> &'a str {
    named(checks, name)["verdict"].as_str().unwrap()
}

/// For three seeds: the check is not content, and its advice and that of the first that complains have the words.
fn assert_named(arguments: &[&str], check: &str, words: &str) {
    for seed in SEEDS {
        let checks = checks(&[arguments, &["--seed", seed]].concat());
        let told = format!("{arguments:?}, seed {seed}: {}", self::words(&checks));
        assert_ne!(verdict(&checks, check), "pass", "{told}");
        let first = checks.iter().find(|check| check["verdict"] != "pass").unwrap();
        for complaint in [named(&checks, check), first] {
            assert!(complaint["advice"].as_str().unwrap().contains(words), "{told}");
        }
        // Nothing is wrong with the backward pass.
        assert_eq!(verdict(&checks, "gradient"), "pass", "{told}");
    }
}

#[test]
fn a_healthy_network_passes() {
    for seed in SEEDS {
        for more in [
            &[][..],
            &["--optimizer", "adam", "--dropout", "0.2", "--hidden", "64"],
            &["--activation", "tanh", "--norm", "none", "--hidden", "64,32"],
        ] {
            let checks = checks(&[&["--seed", seed], more].concat());
            assert!(
                checks.iter().all(|check| check["verdict"] == "pass"),
                "seed {seed}, {more:?}: {checks:#?}"
            );
        }
    }
}

#[test]
fn all_weights_zero() {
    assert_named(
        &["--init", "zeros", "--hidden", "32"],
        "activations",
        "--init auto, which breaks the symmetry",
    );
    assert_named(
        &["--init", "zeros", "--hidden", "32", "--activation", "sigmoid", "--norm", "none"],
        "activations",
        "--init auto, which breaks the symmetry",
    );
}

#[test]
fn a_learning_rate_that_is_too_small_or_too_large() {
    assert_named(
        &["--lr", "1e-6", "--hidden", "32"],
        "learning-rate",
        "the learning rate 1e-6 is too small: choose --lr 0.",
    );
    assert_named(
        &["--lr", "1e6", "--hidden", "32"],
        "learning-rate",
        "the learning rate 1e6 is too large: choose --lr 0.",
    );
    assert_eq!(verdict(&checks(&["--lr", "0.02", "--hidden", "32"]), "learning-rate"), "pass");
}

#[test]
fn a_signal_that_vanishes() {
    let deep = ["--hidden", "50,50,50,50,50,50,50,50,50,50", "--norm", "none", "--init", "normal:0.01"];
    assert_named(&deep, "activations", "the activations vanish: their spread falls");
}

#[test]
fn units_that_are_dead() {
    for norm in ["none", "batch"] {
        assert_named(
            &["--bias", "-30", "--hidden", "32", "--norm", norm],
            "activations",
            "are dead, 0 for every row",
        );
    }
}

#[test]
fn labels_that_belong_to_other_rows() {
    let labels = "the labels do not belong to their rows";
    assert_named(&["--shuffle-labels", "--hidden", "64"], "generalization-gap", labels);
    assert_named(&[&["--shuffle-labels"], &PLAIN[..]].concat(), "generalization-gap", labels);
}

#[test]
fn inputs_that_are_not_normalised() {
    let raw = ["--center", "none", "--scale", "none"];
    assert_named(
        &[&raw, &PLAIN[..]].concat(),
        "activations",
        "the inputs have mean 4.89 and standard deviation 6.02",
    );
}

/// The lecture's network and settings, on pictures of 8 x 8 pixels.
#[test]
fn the_lectures_network() {
    let lecture = [
        "--hidden",
        "50",
        "--norm",
        "none",
        "--activation",
        "relu",
        "--init",
        "normal:0.0001",
        "--scale",
        "none",
    ];
    let sgd = ["--center", "image", "--optimizer", "sgd"];
    let run = |lr| checks(&[&lecture[..], &sgd, &["--lr", lr]].concat());
    let number = |text: &Value| -> f64 {
        let text = text.as_str().unwrap();
        text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .find(|part| part.contains('.'))
            .unwrap()
            .parse()
            .unwrap()
    };
    let healthy = run("0.02");
    let initial = number(&named(&healthy, "initial-loss")["measured"]);
    assert!((initial - 10f64.ln()).abs() < 1e-4, "{initial}");
    for name in ["gradient", "regularization", "overfit-small", "learning-rate"] {
        assert_eq!(verdict(&healthy, name), "pass", "{name}: {}", words(&healthy));
    }
    let small = run("1e-6");
    assert_eq!(verdict(&small, "learning-rate"), "fail");
    let large = run("1e6");
    assert!(
        named(&large, "learning-rate")["advice"].as_str().unwrap().contains("too large"),
        "{}",
        words(&large)
    );
    assert_eq!(verdict(&large, "loss-curve"), "fail");
}

#[test]
fn figures_can_be_drawn_and_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("health");
    let printed = events(&["doctor", "--hidden", "16", "--out", &argument(&out)]);
    let kept = fs::read_to_string(out.join("doctor.jsonl")).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept, printed);
    assert!(names(&out).contains(&"doctor.jsonl".to_string()));
    let kinds: Vec<&str> = printed.iter().filter_map(|check| check["figure"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["curve", "sweep", "layers", "ratios", "curve"]);
    let sweep = &named(&printed, "learning-rate")["figure"];
    let points = sweep["points"].as_array().unwrap();
    let rates: Vec<f64> = points.iter().map(|point| point["lr"].as_f64().unwrap()).collect();
    assert!(rates.len() > 10 && rates.is_sorted(), "{rates:?}");
    let (low, best, high) = (
        sweep["low"].as_f64().unwrap(),
        sweep["suggested"].as_f64().unwrap(),
        sweep["high"].as_f64().unwrap(),
    );
    assert!(low < best && best <= high, "{low} {best} {high}");
    // It stopped at the first rate that explodes.
    assert_eq!(points.iter().filter(|point| point["judgement"] == "too-large" && rates.last() == point["lr"].as_f64().as_ref()).count(), 1);
    let layer = &named(&printed, "activations")["figure"]["layers"][0];
    let counts: u64 =
        layer["histogram"]["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum();
    assert!(layer["layer"] == "layers.2" && counts > 256 * 16 * 9 / 10, "{layer}");
    assert_eq!(named(&printed, "loss-curve")["figure"]["values"].as_array().unwrap().len(), 800);
    // The same seed, the same bits.
    assert_eq!(printed, events(&["doctor", "--hidden", "16"]));
}

#[test]
fn people_read_lines() {
    let output = slicewise(&["doctor", "--data", "spiral", "--hidden", "64"]).output().unwrap();
    let lines = text(&output.stdout);
    assert!(lines.contains("pass  gradient\n      expected  "), "{lines}");
    assert!(!lines.contains('\x1b'), "no colours where there is no terminal: {lines:?}");
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    failure(&["doctor", "--lr", "0"], 2);
    failure(&["doctor", "--data", "idx:no/such/place"], 2);
    let message = failure(&["doctor", "--batch", "1"], 2);
    assert!(message.ends_with("batch norm needs --batch 2 or more; or choose --norm none"), "{message}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let message = failure(&["doctor", "--out", &argument(&file)], 2);
    assert!(message.ends_with("file: is no directory: --out needs one"), "{message}");
    let wide = vec!["65536"; 50].join(",");
    let message = failure(&["doctor", "--hidden", &wide], 2);
    assert!(message.contains("of memory, which is not there"), "{message}");
}
