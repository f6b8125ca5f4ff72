//! What the commands beside `train` find out: the objects that `--json` prints, that are kept in a directory's files, and
//! that its report draws. Those of `train`, `eval` and `predict` are in `metrics`.

use serde::{Deserialize, Serialize};

/// Counts of values in bins of one width over `[low, high]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) counts: Vec<u64>,
}

/// What a hidden layer gives, over units and rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Activations {
    /// The layer in words: `layers.2` as in the model's file.
    pub(crate) layer: String,
    pub(crate) mean: f64,
    pub(crate) std: f64,
    pub(crate) zero_fraction: f64,
    pub(crate) saturated_fraction: f64,
    pub(crate) dead_fraction: f64,
    pub(crate) histogram: Histogram,
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Warn,
    Fail,
}

/// One of the doctor's checks. A line of `doctor.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "check")]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) expected: String,
    pub(crate) measured: String,
    pub(crate) verdict: Verdict,
    /// What to do next.
    pub(crate) advice: String,
    /// What can be drawn of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) figure: Option<Figure>,
}

/// What a check can show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Figure {
    /// The learning rates that were tried, and the range that can be used.
    Sweep { points: Vec<SweepPoint>, first_loss: f64, low: f64, high: f64, suggested: f64 },
    /// A loss, step by step or epoch by epoch.
    Curve { unit: String, values: Vec<f64> },
    /// Every hidden layer.
    Layers { layers: Vec<Activations> },
    /// `||update|| / ||W||` of each tensor.
    Ratios { tensors: Vec<(String, f64)> },
}

/// One learning rate of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SweepPoint {
    pub(crate) lr: f64,
    /// After the steps; `null` where it is not finite.
    pub(crate) loss: Option<f64>,
    pub(crate) accuracy: f64,
    pub(crate) judgement: RateJudgement,
}

/// What a learning rate did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RateJudgement {
    /// The loss barely moved.
    TooSmall,
    /// It fell.
    Usable,
    /// It exploded, or is no number any more.
    TooLarge,
}

/// One layer of the initialisation experiment. A line of `init.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "layer")]
pub(crate) struct InitLayer {
    /// Which of several compared: `tanh, normal:0.01`.
    pub(crate) case: String,
    /// From 1.
    pub(crate) layer: usize,
    #[serde(deserialize_with = "infinite_where_null")]
    pub(crate) mean: f64,
    #[serde(deserialize_with = "infinite_where_null")]
    pub(crate) std: f64,
    /// The spread of `std` from seed to seed; 0 for one seed.
    #[serde(deserialize_with = "infinite_where_null")]
    pub(crate) seed_std: f64,
    /// At infinite width.
    #[serde(deserialize_with = "infinite_where_null")]
    pub(crate) theory_std: f64,
    pub(crate) zero_fraction: f64,
    pub(crate) saturated_fraction: f64,
    /// The standard deviation of the loss's gradient by the layer's outputs, where that of the last layer's is 1.
    #[serde(deserialize_with = "infinite_where_null")]
    pub(crate) grad_std: f64,
    #[serde(deserialize_with = "infinite_where_null")]
    pub(crate) theory_grad_std: f64,
    /// `healthy`, `vanishing`, `exploding`, `saturated` or `dead`.
    pub(crate) verdict: String,
    pub(crate) histogram: Histogram,
}

/// JSON has no infinity: a number that is not finite is written as `null`.
fn infinite_where_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// What the machine can do at all. The first line of `bench.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "machine")]
pub(crate) struct Machine {
    /// Of the program.
    pub(crate) version: String,
    /// Whether it was built with checks that cost time.
    pub(crate) is_debug_build: bool,
    pub(crate) cpu: String,
    /// The level of the figures that follow: the best that was measured.
    pub(crate) level: String,
    pub(crate) fma_gflops_f32: f64,
    pub(crate) fma_gflops_f64: f64,
    /// Reading; none without that cache.
    pub(crate) l1_gbs: Option<f64>,
    pub(crate) l2_gbs: Option<f64>,
    pub(crate) l3_gbs: Option<f64>,
    pub(crate) dram_gbs: Option<f64>,
    /// From the first cache on.
    pub(crate) memories: Vec<Memory>,
    /// Whether the system did not tell the caches' sizes.
    pub(crate) caches_are_assumed: bool,
    pub(crate) levels: Vec<LevelLimits>,
}

/// A cache, or the memory behind the caches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// `l1`, `l2`, `l3` or `dram`.
    pub(crate) name: String,
    pub(crate) cache_bytes: Option<u64>,
    /// What its bandwidth was measured in.
    pub(crate) working_set_bytes: u64,
}

/// What the machine can do at one level of instructions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LevelLimits {
    pub(crate) level: String,
    pub(crate) fma_gflops_f32: f64,
    pub(crate) fma_gflops_f64: f64,
    /// For each of the machine's memories: bytes that are read, read and written elsewhere, read and written in place.
    pub(crate) read_gbs: Vec<f64>,
    pub(crate) copy_gbs: Vec<f64>,
    pub(crate) update_gbs: Vec<f64>,
}

/// What a kernel reached. A line of `bench.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "kernel")]
pub(crate) struct KernelRate {
    pub(crate) kernel: String,
    pub(crate) dtype: String,
    pub(crate) level: String,
    pub(crate) shape: String,
    /// Of a call: the median of the rounds.
    pub(crate) seconds: f64,
    /// The distance between the quartiles of the rounds, as a fraction of the median.
    pub(crate) spread: f64,
    pub(crate) rounds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gflops: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gelems: Option<f64>,
    pub(crate) percent_of_limit: f64,
    /// `fma`, or the memory whose bandwidth it is.
    pub(crate) limit: String,
    /// What a call takes at least.
    pub(crate) limit_seconds: f64,
    /// Operations of a call, 0 where its formula does not count them.
    pub(crate) flops: f64,
    /// Bytes that a call reads and writes at least.
    pub(crate) bytes: f64,
    /// Bytes of its operands.
    pub(crate) operand_bytes: f64,
    /// The first memory that holds the operands together.
    pub(crate) memory: String,
}

/// How a trial of a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TrialState {
    Running,
    Complete,
    /// Stopped early: its loss exploded, or others did better by then.
    Pruned,
    Fail,
}

/// One set of hyper-parameters. Read back from a search's journal for the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "trial")]
pub(crate) struct Trial {
    pub(crate) number: usize,
    pub(crate) round: u32,
    /// By name, in the order of the search's own: `lr`, `reg`, `hidden`, …
    #[serde(flatten)]
    pub(crate) parameters: std::collections::BTreeMap<String, f64>,
    /// The best validation accuracy; none where no epoch ended.
    pub(crate) val_acc: Option<f64>,
    pub(crate) state: TrialState,
    /// Epochs done.
    pub(crate) epochs: u32,
}

/// A search as its journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Study {
    pub(crate) name: String,
    /// `random`, `grid`, or what another program that went on with it calls its own.
    pub(crate) strategy: String,
    /// Each parameter's name and the range it was first drawn from, and whether in log space.
    pub(crate) ranges: Vec<(String, f64, f64, bool)>,
    pub(crate) trials: Vec<Trial>,
}
