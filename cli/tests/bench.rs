//! `slicewise bench`, from outside. No test depends on how fast anything is.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]

mod support;

use serde_json::Value;
use slicewise::Level;
use std::fs;
use support::{argument, events, failure, names, only, slicewise, text};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn bench(more: &[&str]) -> Vec<Value> {
    events(&[&["bench", "--quick", "--filter"], more].concat())
}

#[test]
fn the_machine_comes_first_and_is_complete() {
    let events = bench(&["gemm 4x4x4", "--dtype", "f32"]);
    assert_eq!(events[0]["event"], "machine");
    let machine = &events[0];
    assert!(!machine["cpu"].as_str().unwrap().is_empty());
    assert_eq!(machine["level"], Level::detect().name());
    for key in ["fma_gflops_f32", "fma_gflops_f64", "dram_gbs"] {
        assert!(number(&machine[key]) > 0.0, "{key}: {machine}");
    }
    let memories = machine["memories"].as_array().unwrap();
    for memory in memories {
        let name = format!("{}_gbs", memory["name"].as_str().unwrap());
        assert!(number(&machine[&name]) > 0.0, "{name}: {machine}");
        assert!(number(&memory["working_set_bytes"]) > 0.0, "{machine}");
    }
    let levels: Vec<&str> = Level::available().map(Level::name).collect();
    let measured = machine["levels"].as_array().unwrap();
    assert_eq!(measured.iter().map(|level| level["level"].as_str().unwrap()).collect::<Vec<_>>(), levels);
    for level in measured {
        for rates in [&level["read_gbs"], &level["copy_gbs"], &level["update_gbs"]] {
            let rates = rates.as_array().unwrap();
            assert!(rates.len() == memories.len() && rates.iter().all(|rate| number(rate) > 0.0), "{level}");
        }
    }
    assert!(events[1..].iter().all(|event| event["event"] == "kernel"));
}

#[test]
fn a_product_is_measured_at_every_level_in_both_types() {
    let events = bench(&["gemm 64x64x64"]);
    let kernels = only(&events, "kernel");
    let levels: Vec<&str> = Level::available().map(Level::name).collect();
    let expected =
        ["f32", "f64"].into_iter().flat_map(|dtype| levels.iter().map(move |level| (dtype, *level)));
    let of = |kernel: &Value, key: &str| kernel[key].as_str().unwrap().to_string();
    let found = kernels.iter().map(|kernel| (of(kernel, "dtype"), of(kernel, "level")));
    let expected = expected.map(|(dtype, level)| (dtype.to_string(), level.to_string()));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    for kernel in kernels {
        assert_eq!((&kernel["kernel"], &kernel["shape"]), (&"gemm".into(), &"64x64x64 NN".into()));
        for key in ["seconds", "gflops", "percent_of_limit", "limit_seconds", "rounds"] {
            assert!(number(&kernel[key]) > 0.0, "{key}: {kernel}");
        }
        assert!(number(&kernel["spread"]) >= 0.0, "{kernel}");
        assert_eq!(number(&kernel["flops"]), 2.0 * 64.0 * 64.0 * 64.0);
        let size = if kernel["dtype"] == "f32" { 4.0 } else { 8.0 };
        assert_eq!(number(&kernel["bytes"]), 3.0 * 64.0 * 64.0 * size);
        let rate = number(&kernel["flops"]) / number(&kernel["seconds"]) / 1e9;
        assert!((rate / number(&kernel["gflops"]) - 1.0).abs() < 1e-9, "{kernel}");
        let share = 100.0 * number(&kernel["limit_seconds"]) / number(&kernel["seconds"]);
        assert!((share / number(&kernel["percent_of_limit"]) - 1.0).abs() < 1e-9, "{kernel}");
        assert!(["fma", "l1", "l2", "l3", "dram"].contains(&kernel["limit"].as_str().unwrap()), "{kernel}");
        assert_eq!(kernel.get("gelems"), None);
    }
}

/// Every kernel but `gemm` on the smallest operands, at one level.
#[test]
fn every_other_kernel_runs() {
    for filter in ["2048", "8x256", "200x10"] {
        let events = bench(&[filter, "--dtype", "f64", "--level", "portable"]);
        for kernel in only(&events, "kernel") {
            if kernel["kernel"] != "gemm" {
                assert!(
                    number(&kernel["gelems"]) > 0.0 && number(&kernel["percent_of_limit"]) > 0.0,
                    "{kernel}"
                );
                assert_eq!(kernel.get("gflops"), None);
            }
            assert_eq!((&kernel["level"], &kernel["dtype"]), (&"portable".into(), &"f64".into()));
        }
    }
}

#[test]
fn a_filter_is_part_of_a_name_in_either_case() {
    let events = bench(&["SUM 2048", "--level", "auto"]);
    let kernels = only(&events, "kernel");
    assert_eq!(kernels.len(), 2);
    assert!(kernels.iter().all(|kernel| kernel["kernel"] == "sum" && kernel["shape"] == "2048"));
    let events = bench(&["64x500x3072 nt", "--level", "auto", "--dtype", "f32"]);
    assert_eq!(events[1]["shape"], "64x500x3072 NT");
}

#[test]
fn people_read_a_table() {
    let arguments = ["bench", "--quick", "--filter", "4x4x4", "--dtype", "f32"];
    let output = slicewise(&arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for part in ["FMA, GFLOP/s", "working set", "gemm, f32: GFLOP/s", "4x4x4 NN"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.lines().skip(1).all(|line| line.chars().count() <= 80), "{told}");
}

#[test]
fn measurements_are_kept_and_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("a/b"));
    let printed = bench(&["64x64x64", "--out", &out, "--dtype", "f32"]);
    let folder = directory.path().join("a/b");
    assert_eq!(names(&folder), ["bench.jsonl", "report.html"]);
    let kept = fs::read_to_string(folder.join("bench.jsonl")).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept, printed);
    let page = fs::read(folder.join("report.html")).unwrap();
    let html = text(&page);
    for part in ["Throughput of the kernels", "<title>gemm 64x64x64 NN, f32, portable: ", "Roofline, f32"] {
        assert!(html.contains(part), "{part}");
    }
    fs::remove_file(folder.join("report.html")).unwrap();
    events(&["report", &out]);
    assert!(fs::read(folder.join("report.html")).unwrap() == page);
}

#[test]
fn mistakes_are_told_in_one_line() {
    let message = failure(&["bench", "--filter", "conv"], 2);
    assert!(
        message.contains("--filter conv: no kernel and no shape has this in its name; the kernels are "),
        "{message}"
    );
    assert!(message.contains("adam") && message.contains("gemm"), "{message}");
    failure(&["bench", "--level", "avx3"], 2);
    failure(&["bench", "--dtype", "f16"], 2);
    let directory = tempfile::tempdir().unwrap();
    let file = argument(&directory.path().join("file"));
    fs::write(&file, "").unwrap();
    assert!(failure(&["bench", "--out", &file], 2).ends_with("is no directory: --out needs one"));
}
