//! The limits of the machine: multiply-adds in registers, and reading and copying memory.

use super::case::{Aligned, Dtype};
use crate::error::{Failure, Outcome};
use crate::events::{LevelLimits, Memory};
use core::hint::black_box;
use slicewise::kernels::{activate_in_place, copy_scaled, multiply_adds, read_through};
use slicewise::{Activation, Level};

/// Rounds of multiply-adds in one call: tens of microseconds.
const ROUNDS: u64 = 10_000;

/// What limits a kernel, at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Multiply-adds.
    Fma(Dtype),
    /// Reading a memory, by its place.
    Read(usize),
    /// Copying within it: what many know a machine by, no limit of its own.
    Copy(usize),
    /// Reading and writing the same places.
    Update(usize),
}

/// Memory to read and write.
#[derive(Debug)]
pub(super) struct Probe {
    sizes: Vec<usize>,
    x: Aligned<f32>,
    y: Aligned<f32>,
}

impl Probe {
    pub(super) fn new(memories: &[Memory]) -> Self {
        let sizes: Vec<usize> = memories.iter().map(|memory| memory.working_set_bytes as usize / 4).collect();
        let largest = sizes.iter().copied().max().unwrap_or(0);
        Self { sizes, x: Aligned::of(1, largest), y: Aligned::of(1, largest / 2) }
    }

    /// Does it so many times.
    pub(super) fn run(&mut self, limit: Limit, level: Level, calls: u64) -> Outcome<()> {
        for _ in 0..calls {
            match limit {
                Limit::Fma(Dtype::F32) => {
                    black_box(multiply_adds::<f32>(level, black_box(ROUNDS)));
                }
                Limit::Fma(Dtype::F64) => {
                    black_box(multiply_adds::<f64>(level, black_box(ROUNDS)));
                }
                Limit::Read(memory) => {
                    let size = self.size(memory);
                    black_box(read_through(level, black_box(self.x.get(..size).unwrap_or_default())));
                }
                Limit::Update(memory) => {
                    let size = self.size(memory);
                    let x = self.x.get_mut(..size).unwrap_or_default();
                    // The values are positive and stay what they are.
                    activate_in_place(level, Activation::Relu, x);
                    black_box(x);
                }
                Limit::Copy(memory) => {
                    let half = self.size(memory) / 2;
                    let x = black_box(self.x.get(..half).unwrap_or_default());
                    let y = self.y.get_mut(..half).unwrap_or_default();
                    copy_scaled(level, black_box(0.5), x, y)
                        .map_err(|error| Failure::failed(error.to_string()))?;
                    black_box(y);
                }
            }
        }
        Ok(())
    }

    /// Operations, or bytes read and written, of one call.
    pub(super) fn amount(&self, limit: Limit, level: Level) -> f64 {
        match limit {
            Limit::Fma(Dtype::F32) => multiply_adds::<f32>(level, ROUNDS).0 as f64,
            Limit::Fma(Dtype::F64) => multiply_adds::<f64>(level, ROUNDS).0 as f64,
            Limit::Read(memory) => 4.0 * self.size(memory) as f64,
            Limit::Update(memory) => 8.0 * self.size(memory) as f64,
            Limit::Copy(memory) => 8.0 * (self.size(memory) / 2) as f64,
        }
    }

    fn size(&self, memory: usize) -> usize {
        self.sizes.get(memory).copied().unwrap_or(0)
    }
}

/// Every limit of a level.
pub(super) fn all(memories: usize) -> Vec<Limit> {
    let fma = super::machine::DTYPES.map(Limit::Fma);
    fma.into_iter()
        .chain(
            (0..memories)
                .flat_map(|memory| [Limit::Read(memory), Limit::Copy(memory), Limit::Update(memory)]),
        )
        .collect()
}

/// What was measured, per second.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates(Vec<(Level, Limit, f64)>);

impl Rates {
    pub(super) fn add(&mut self, level: Level, limit: Limit, rate: f64) {
        self.0.push((level, limit, rate));
    }

    fn of(&self, level: Level, limit: Limit) -> f64 {
        let same = |rate: &&(Level, Limit, f64)| rate.0 == level && rate.1 == limit;
        self.0.iter().find(same).map_or(f64::NAN, |rate| rate.2)
    }

    /// Operations per second.
    pub(super) fn fma(&self, level: Level, dtype: Dtype) -> f64 {
        self.of(level, Limit::Fma(dtype))
    }

    /// The least time of so many bytes read and written in a memory, where the operands have `footprint` bytes.
    ///
    /// Reads and writes run side by side. Beyond L1, a cache fetches a line before it is written, unless it was read anyway: every
    /// operand comes once, whatever is done to it.
    pub(super) fn moving(&self, level: Level, memory: usize, read: f64, written: f64, footprint: f64) -> f64 {
        let fetched = if memory == 0 { read } else { footprint };
        let reading = fetched / self.of(level, Limit::Read(memory));
        let writing = written / (0.5 * self.of(level, Limit::Update(memory)));
        reading.max(writing)
    }

    /// A level's limits as they are printed.
    pub(super) fn level(&self, level: Level, memories: usize) -> LevelLimits {
        let giga = |limit: Limit| self.of(level, limit) / 1e9;
        LevelLimits {
            level: level.name().into(),
            fma_gflops_f32: giga(Limit::Fma(Dtype::F32)),
            fma_gflops_f64: giga(Limit::Fma(Dtype::F64)),
            read_gbs: (0..memories).map(|memory| giga(Limit::Read(memory))).collect(),
            copy_gbs: (0..memories).map(|memory| giga(Limit::Copy(memory))).collect(),
            update_gbs: (0..memories).map(|memory| giga(Limit::Update(memory))).collect(),
        }
    }
}
