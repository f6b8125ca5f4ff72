//! Limits and kernels timed together, and what follows from their times.

use super::case::{Call, Case, Unit};
use super::limits::{self, Limit, Probe, Rates};
use super::machine;
use super::timing::{Pace, Timing, in_turn};
use crate::console::Progress;
use crate::error::{Failure, Outcome};
use crate::events::{KernelRate, Machine, Memory};
use slicewise::Level;

/// What is measured with.
pub(super) struct Bench {
    pace: Pace,
    levels: Vec<Level>,
    memories: Vec<Memory>,
    caches_are_told: bool,
    probe: Probe,
    /// Measurements that are over, of how many.
    steps: (usize, usize),
}

impl Bench {
    /// Measures at these levels, so many groups of cases.
    pub(super) fn new(pace: Pace, levels: Vec<Level>, groups: usize) -> Self {
        let (memories, caches_are_told) = machine::memories();
        let probe = Probe::new(&memories);
        Self { pace, levels, memories, caches_are_told, probe, steps: (0, groups + 1) }
    }

    /// The limits of every level.
    pub(super) fn machine(&mut self) -> Outcome<Machine> {
        let memories = self.memories.len();
        let (rates, _) = self.measure(&limits::all(memories), &mut [])?;
        let levels: Vec<_> = self.levels.iter().map(|level| rates.level(*level, memories)).collect();
        let best = levels.first().cloned().unwrap_or_default();
        let read = |name: &str| {
            let place = self.memories.iter().position(|memory| memory.name == name)?;
            best.read_gbs.get(place).copied()
        };
        Ok(Machine {
            is_debug_build: cfg!(debug_assertions),
            version: env!("CARGO_PKG_VERSION").into(),
            cpu: machine::cpu(),
            level: best.level.clone(),
            fma_gflops_f32: best.fma_gflops_f32,
            fma_gflops_f64: best.fma_gflops_f64,
            l1_gbs: read("l1"),
            l2_gbs: read("l2"),
            l3_gbs: read("l3"),
            dram_gbs: read("dram"),
            memories: self.memories.clone(),
            caches_are_assumed: !self.caches_are_told,
            levels,
        })
    }

    /// Every case of a group at every level: all levels of one case, then the next case.
    pub(super) fn group(&mut self, cases: &[Case]) -> Outcome<Vec<KernelRate>> {
        let memory_of = |case: &Case| machine::holding(&self.memories, case.footprint);
        let mut limits: Vec<Limit> = Vec::new();
        for case in cases {
            let memory = memory_of(case);
            for limit in [Limit::Fma(case.dtype), Limit::Read(memory), Limit::Update(memory)] {
                if !limits.contains(&limit) {
                    limits.push(limit);
                }
            }
        }
        let places: Vec<usize> = cases.iter().map(memory_of).collect();
        let mut calls: Vec<Call> = cases.iter().map(|case| (case.operands)()).collect();
        let (rates, timings) = self.measure(&limits, &mut calls)?;
        let levels = self.levels.iter().copied();
        let of_levels =
            cases.iter().zip(places).flat_map(|case| levels.clone().map(move |level| (case, level)));
        let row = |(((case, place), level), timing)| self.row(case, place, level, timing, &rates);
        Ok(of_levels.zip(timings).map(row).collect())
    }

    /// Times limits and calls, each at every level, in the same rounds.
    fn measure(&mut self, limits: &[Limit], calls: &mut [Call]) -> Outcome<(Rates, Vec<Timing>)> {
        let Self { pace, levels, probe, steps, .. } = self;
        let count = levels.len();
        let at = |job: usize| (job / count, levels.get(job % count).copied().unwrap_or(Level::Portable));
        let of_limits = limits.len() * count;
        let mut turns = vec![pace.limit_turn; of_limits];
        turns.resize(of_limits + calls.len() * count, pace.turn);
        let run = |job: usize, n: u64| {
            let (index, level) = at(job);
            match limits.get(index) {
                Some(limit) => probe.run(*limit, level, n),
                None => calls.get_mut(index - limits.len()).map_or(Ok(()), |call| {
                    call(level, n).map_err(|error| Failure::failed(error.to_string()))
                }),
            }
        };
        let mut progress = Progress::new(String::from("measuring"), 1000 * steps.1);
        let tick = |done: usize, of: usize| progress.set(1000 * steps.0 + 1000 * done / of, String::new);
        let mut timings = in_turn(pace, &turns, run, tick)?;
        steps.0 += 1;
        let of_calls = timings.split_off(of_limits);
        let mut rates = Rates::default();
        for (job, timing) in timings.iter().enumerate() {
            let (index, level) = at(job);
            if let Some(limit) = limits.get(index) {
                rates.add(level, *limit, probe.amount(*limit, level) / timing.seconds);
            }
        }
        Ok((rates, of_calls))
    }

    fn row(&self, case: &Case, memory: usize, level: Level, timing: Timing, rates: &Rates) -> KernelRate {
        let Timing { seconds, spread, rounds } = timing;
        let computing = case.flops / rates.fma(level, case.dtype);
        let moving = rates.moving(level, memory, case.read, case.written, case.footprint);
        let limit_seconds = computing.max(moving);
        let name = || self.memories.get(memory).map_or_else(String::new, |memory| memory.name.clone());
        let giga = |unit: Unit, amount: f64| (case.unit == unit).then_some(amount / seconds / 1e9);
        KernelRate {
            kernel: case.kernel.into(),
            dtype: case.dtype.name().into(),
            level: level.name().into(),
            shape: case.shape.clone(),
            seconds,
            spread,
            rounds,
            gflops: giga(Unit::Flops, case.flops),
            gelems: giga(Unit::Elements, case.elements),
            percent_of_limit: 100.0 * limit_seconds / seconds,
            limit: if computing >= moving { "fma".into() } else { name() },
            limit_seconds,
            flops: case.flops,
            bytes: case.read + case.written,
            operand_bytes: case.footprint,
            memory: name(),
        }
    }
}
