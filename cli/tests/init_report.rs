//! `slicewise init-report`, from outside.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]

mod support;

use serde_json::Value;
use std::fs;
use support::{argument, events, failure, names, slicewise, text};

/// Standard deviations by layer, as CS231n prints them, and half a unit of the last digit.
type Published = (&'static str, &'static str, &'static [(usize, f64)], f64);
const PUBLISHED: [Published; 5] = [
    ("tanh", "normal:0.01", &[(1, 0.213081), (2, 0.047551), (3, 0.010630), (5, 0.000532), (10, 0.0)], 5e-7),
    ("tanh", "normal:1", &[(1, 0.982), (2, 0.982), (3, 0.982), (5, 0.982), (10, 0.982)], 5e-4),
    ("tanh", "xavier", &[(1, 0.628), (2, 0.486), (3, 0.408), (5, 0.321), (10, 0.228)], 5e-4),
    ("relu", "xavier", &[(1, 0.584), (2, 0.415), (3, 0.295), (5, 0.147), (10, 0.025)], 5e-4),
    ("relu", "he", &[(1, 0.825232), (2, 0.827835), (3, 0.813855), (5, 0.834092), (10, 0.844523)], 5e-7),
];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn reproduces(options: &[&str]) {
    for (activation, init, table, half_a_digit) in PUBLISHED {
        let layers =
            events(&[&["init-report", "--activation", activation, "--init", init], options].concat());
        assert_eq!(layers.len(), 10);
        for (layer, std) in table {
            let of = &layers[layer - 1];
            let (measured, scatter) = (number(&of["std"]), number(&of["seed_std"]));
            assert!(scatter > 0.0, "{of}");
            assert!(
                (measured - std).abs() <= 3.0 * scatter + half_a_digit,
                "{activation}, {init}, layer {layer}: {measured} ± {scatter}, not {std}"
            );
        }
    }
}

#[test]
fn the_lectures_tables_come_out() {
    reproduces(&["--seeds", "5", "--samples", "200"]);
}

#[test]
#[ignore = "a hundred networks of the lecture's size: half a minute"]
fn the_lectures_tables_come_out_over_twenty_seeds() {
    reproduces(&["--seeds", "20"]);
}

/// With batch norm each layer is as the first, whatever the scale of the weights.
#[test]
fn batch_norm_makes_the_table_flat() {
    for (activation, std) in [("relu", 0.584), ("tanh", 0.628)] {
        let compare = ["--compare", "normal:0.01,normal:1,xavier,he"];
        let options = ["init-report", "--norm", "batch", "--samples", "300", "--activation", activation];
        let layers = events(&[&options[..], &compare].concat());
        assert_eq!(layers.len(), 40);
        for layer in &layers {
            assert!((number(&layer["std"]) / std - 1.0).abs() < 0.02, "{layer}");
            assert!((number(&layer["theory_std"]) / std - 1.0).abs() < 2e-3, "{layer}");
            assert_eq!(layer["verdict"], "healthy", "{layer}");
        }
    }
}

/// Each trouble is called by its name, and told what to do.
#[test]
fn each_trouble_has_its_verdict_and_advice() {
    for (options, layer, verdict, advice) in [
        ("--init he", 9, "healthy", "train with --activation relu --init he"),
        ("--activation tanh", 9, "healthy", "train with --activation tanh --init xavier"),
        ("--activation tanh --init normal:0.01", 9, "vanishing", "choose --init xavier"),
        ("--activation tanh --init normal:1", 9, "saturated", "choose --init xavier"),
        ("--init normal:1", 9, "exploding", "choose --init he"),
        ("--init xavier", 9, "vanishing", "choose --init he"),
        ("--activation sigmoid", 0, "vanishing", "choose --activation relu or tanh"),
        ("--init zeros", 9, "dead", "never breaks their symmetry"),
        ("--activation sigmoid --init zeros --norm batch", 0, "dead", "draw the weights: --init xavier"),
        // Beyond the range of 32 bits at both ends.
        ("--init normal:0.0001 --layers 40", 39, "vanishing", "choose --init he"),
        ("--init normal:100 --layers 40", 39, "exploding", "choose --init he"),
    ] {
        let base = ["init-report", "--width", "128", "--samples", "100"];
        let arguments: Vec<&str> = base.into_iter().chain(options.split(' ')).collect();
        let layers = events(&arguments);
        assert_eq!(layers[layer]["verdict"], verdict, "{options}: {}", layers[layer]);
        let output = slicewise(&arguments).output().unwrap();
        let told = text(&output.stdout).replace("\n  ", " ");
        assert!(told.contains(advice), "{options}: {told}");
        assert!(told.contains(verdict), "{options}: {told}");
    }
}

#[test]
fn every_object_has_what_is_promised() {
    let layers =
        events(&["init-report", "--layers", "2", "--width", "64", "--samples", "50", "--seeds", "3"]);
    assert_eq!(layers.len(), 2);
    for (layer, index) in layers.iter().zip(1..) {
        assert_eq!((&layer["event"], &layer["case"]), (&"layer".into(), &"relu, he".into()));
        assert_eq!(layer["layer"], index);
        for key in ["mean", "std", "seed_std", "theory_std", "zero_fraction", "grad_std", "theory_grad_std"] {
            assert!(number(&layer[key]) > 0.0, "{key}: {layer}");
        }
        assert_eq!(layer["saturated_fraction"], 0.0);
        let counts: Vec<u64> = serde_json::from_value(layer["histogram"]["counts"].clone()).unwrap();
        assert_eq!(counts.iter().sum::<u64>(), 3 * 50 * 64);
    }
}

/// Every nonlinearity's measured table lies near its theory, with every initialiser that suits it.
#[test]
fn measured_and_theory_agree() {
    for activation in ["relu", "leaky-relu", "elu", "sigmoid", "tanh", "identity", "maxout"] {
        let options = ["init-report", "--width", "256", "--layers", "4", "--samples", "200", "--seeds", "4"];
        let more = ["--activation", activation, "--compare", "xavier,glorot-uniform,he,lecun,normal:0.05"];
        for layer in events(&[&options[..], &more].concat()) {
            let ratio = number(&layer["std"]) / number(&layer["theory_std"]);
            assert!((ratio - 1.0).abs() < 0.1, "{layer}");
            let ratio = number(&layer["grad_std"]) / number(&layer["theory_grad_std"]);
            assert!((ratio - 1.0).abs() < 0.1, "{layer}");
        }
    }
}

#[test]
fn the_same_bits_from_any_number_of_threads() {
    let run = |threads: &str| {
        let options =
            ["init-report", "--width", "64", "--samples", "50", "--seeds", "5", "--threads", threads];
        events(&options)
    };
    assert_eq!(run("1"), run("3"));
}

/// 80 columns, no colours where nobody sees them.
#[test]
fn the_terminals_width_is_kept() {
    for options in
        ["--init normal:100", "--compare normal:0.01,normal:0.05,xavier,he,zeros --activation tanh"]
    {
        let base = ["init-report", "--width", "40", "--samples", "20", "--layers", "12"];
        let arguments: Vec<&str> = base.into_iter().chain(options.split(' ')).collect();
        let output = text(&slicewise(&arguments).output().unwrap().stdout);
        assert!(output.contains('█') && !output.contains('\x1b'), "{output}");
        for line in output.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn measurements_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("a/b"));
    let options =
        ["init-report", "--width", "32", "--samples", "20", "--init", "normal:100", "--layers", "40"];
    let printed = events(&[&options[..], &["--out", &out]].concat());
    let kept = fs::read_to_string(directory.path().join("a/b/init.jsonl")).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept, printed);
    // What is beyond 32 bits has no number.
    assert_eq!(kept[39]["std"], Value::Null);
    assert_eq!(names(&directory.path().join("a/b")), ["init.jsonl", "report.html"]);
}

#[test]
fn mistakes_are_told_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = argument(&directory.path().join("file"));
    fs::write(&file, "").unwrap();
    assert!(failure(&["init-report", "--out", &file], 2).ends_with("is no directory: --out needs one"));
    assert!(failure(&["init-report", "--layers", "0"], 2).contains("--layers"));
    assert!(failure(&["init-report", "--compare", "he,kaiming"], 2).contains("choose auto, he"));
    assert!(failure(&["init-report", "--compare", "he", "--init", "he"], 2).contains("cannot be used with"));
    let huge = ["init-report", "--width", "65536", "--layers", "1000", "--samples", "1000000"];
    assert!(failure(&huge, 2).contains("choose a smaller --layers, --width or --samples"));
}
