//! The kernels beside PyTorch, at every level and in both types.
//!
//! `facts.txt` has inputs and what PyTorch makes of them in float64; `facts.py` made it, and says where the two mean different
//! things. Every number of the table must be read, and every case that is listed here must be in it.
//!
//! `cargo test -p slicewise-kernels --test pytorch -- --nocapture` says how much of each bound is used.

mod dense;
mod elementwise;
mod layout;
mod norms;
mod scores;
mod steps;
mod table;

use slicewise_kernels::Level;
use table::Case;

/// The cases of one kind, and what holds the kernels to one of them, in `f32` and in `f64`.
struct Check {
    kind: &'static str,
    names: &'static [&'static str],
    run: [fn(&Case, Level); 2],
}

const CHECKS: [Check; 10] = [
    Check {
        kind: "function",
        names: &["exp", "exp2", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "sqrt", "rsqrt"],
        run: [elementwise::function::<f32>, elementwise::function::<f64>],
    },
    Check {
        kind: "activation",
        names: &[
            "relu",
            "leaky_relu",
            "elu",
            "elu_scaled",
            "selu",
            "sigmoid",
            "tanh",
            "softplus",
            "gelu",
            "gelu_tanh",
            "silu",
            "hard_sigmoid",
            "hard_tanh",
            "hard_swish",
        ],
        run: [elementwise::activation::<f32>, elementwise::activation::<f64>],
    },
    Check {
        kind: "prelu",
        names: &["rows", "images", "shared"],
        run: [elementwise::prelu_both_ways::<f32>, elementwise::prelu_both_ways::<f64>],
    },
    Check { kind: "dense", names: &["layer"], run: [dense::layer::<f32>, dense::layer::<f64>] },
    Check {
        kind: "scores",
        names: &["2", "10", "17", "1000"],
        run: [scores::classifiers::<f32>, scores::classifiers::<f64>],
    },
    Check {
        kind: "squared_error",
        names: &["mean"],
        run: [scores::regression::<f32>, scores::regression::<f64>],
    },
    Check {
        kind: "batch_norm",
        names: &["rows", "narrow", "images"],
        run: [norms::batch::<f32>, norms::batch::<f64>],
    },
    Check { kind: "layer_norm", names: &["5", "16", "101"], run: [norms::layer::<f32>, norms::layer::<f64>] },
    Check { kind: "clip", names: &["longer", "shorter"], run: [steps::clip::<f32>, steps::clip::<f64>] },
    Check {
        kind: "optimizer",
        names: &[
            "sgd",
            "momentum",
            "nesterov",
            "adam",
            "adam_w",
            "rms_prop",
            "adagrad",
            "adam_epsilon",
            "adam_w_epsilon",
            "rms_prop_epsilon",
            "adagrad_epsilon",
        ],
        run: [steps::optimizer::<f32>, steps::optimizer::<f64>],
    },
];

#[test]
fn kernels_do_what_pytorch_does() {
    let cases = table::read(include_str!("facts.txt"));
    let listed: Vec<(&str, &str)> =
        CHECKS.iter().flat_map(|check| check.names.iter().map(|name| (check.kind, *name))).collect();
    let found: Vec<(&str, &str)> = cases.iter().map(Case::key).collect();
    assert_eq!(found, listed, "the table's cases and the test's");
    let mut failures = Vec::new();
    for case in &cases {
        for check in CHECKS.iter().filter(|check| check.kind == case.key().0) {
            for run in check.run {
                for level in levels() {
                    run(case, level);
                    case.expect_all_read();
                }
            }
        }
        failures.extend(case.failures());
    }
    assert!(failures.is_empty(), "{} results are not PyTorch's:\n{}", failures.len(), failures.join("\n"));
}

/// All levels of this CPU; where a job is there to test one, that must be the best.
fn levels() -> impl Iterator<Item = Level> {
    if let Ok(required) = std::env::var("SLICEWISE_REQUIRE_LEVEL") {
        assert_eq!(Level::detect().name(), required, "the best level of this CPU is not the one to test");
    }
    Level::available()
}
