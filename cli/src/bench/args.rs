//! The options of `bench`.

use super::case::Dtype;
use crate::error::Outcome;
use crate::network;
use crate::options::LevelChoice;
use clap::{Args, ValueEnum};
use slicewise::Level;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Measured on one thread. Pin it to a core, and leave the machine alone meanwhile: \
taskset -c 1 slicewise bench (Linux).\n\nFMA: multiply-adds in registers, two operations each. Bandwidth: bytes that are read, copied (read \
and written elsewhere) or updated (read and written in place), in a working set within each cache. The limit of a kernel, at its level: its operations at the FMA \
rate, or its operands, each moved once, in the first cache that holds them together, whichever takes longer. Beyond L1, what is written counts as fetched \
first. Spread: the distance between the quartiles of the rounds, over their median.\n\nExamples:\n  \
slicewise bench --quick\n  slicewise bench --filter 64x500 --level avx2\n  slicewise bench --filter gemm --out gemm")]
pub(crate) struct BenchArgs {
    /// Only kernels and shapes with this in their name, like gemm, 64x500 or \"gemm 512\"
    #[arg(long, value_name = "TEXT", help_heading = "Work")]
    pub(super) filter: Option<String>,
    /// Instructions: all that this CPU has, auto (the best), avx512, avx2 or portable
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "all",
        value_name = "NAME",
        help_heading = "Work"
    )]
    pub(super) level: Levels,
    /// Types: f32, f64 or all
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "all",
        value_name = "TYPE",
        help_heading = "Work"
    )]
    pub(super) dtype: Dtypes,
    /// Fewer and shorter rounds, and no product above 1024
    #[arg(long, help_heading = "Work")]
    pub(super) quick: bool,

    /// Keep the measurements in bench.jsonl here, and draw them in report.html
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(super) out: Option<PathBuf>,
    /// Print one JSON object a line on standard output, and nothing else there
    #[arg(long, help_heading = "Run")]
    pub(super) json: bool,
}

/// Which levels are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Levels {
    All,
    Auto,
    Avx512,
    Avx2,
    Portable,
}

impl Levels {
    pub(super) fn levels(self) -> Outcome<Vec<Level>> {
        let choice = match self {
            Self::All => return Ok(Level::available().collect()),
            Self::Auto => LevelChoice::Auto,
            Self::Avx512 => LevelChoice::Avx512,
            Self::Avx2 => LevelChoice::Avx2,
            Self::Portable => LevelChoice::Portable,
        };
        Ok(vec![network::level(choice)?])
    }
}

/// Which types are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dtypes {
    All,
    F32,
    F64,
}

impl Dtypes {
    pub(super) fn has(self, dtype: Dtype) -> bool {
        match self {
            Self::All => true,
            Self::F32 => dtype == Dtype::F32,
            Self::F64 => dtype == Dtype::F64,
        }
    }
}
