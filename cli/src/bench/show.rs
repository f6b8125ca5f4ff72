//! The machine and its kernels on a terminal of 80 columns, at three levels.

use crate::console::Console;
use crate::events::{KernelRate, Machine};
use crate::report::bytes;
use slicewise::Level;

/// The machine: a line for each level, and what the figures were measured in.
pub(super) fn machine(console: Console, machine: &Machine) -> String {
    let mut text = console.bold(&machine.cpu) + "\n\n";
    text += &format!("{:9}{:>14}   {}\n", "", "FMA, GFLOP/s", "read / copy / update, GB/s");
    text += &format!("{:9}{:>7}{:>7} ", "level", "f32", "f64");
    for memory in &machine.memories {
        text += &format!("{:>13}", memory.name.to_uppercase());
    }
    for level in &machine.levels {
        text += &format!("\n{:9}{:>7.1}{:>7.1} ", level.level, level.fma_gflops_f32, level.fma_gflops_f64);
        for ((read, copy), update) in level.read_gbs.iter().zip(&level.copy_gbs).zip(&level.update_gbs) {
            text += &format!("{:>13}", format!("{read:.0}/{copy:.0}/{update:.0}"));
        }
    }
    text += &format!("\n{:24}", "working set");
    for memory in &machine.memories {
        text += &format!("{:>13}", bytes(memory.working_set_bytes as usize));
    }
    if machine.is_debug_build {
        text += "\nThis is a debug build: its figures say little. Build with --release.";
    }
    if machine.caches_are_assumed {
        text += "\nThe system does not tell the sizes of its caches: they are assumed.";
    }
    text
}

/// A table that grows row by row.
#[derive(Debug)]
pub(super) struct Table {
    levels: Vec<Level>,
    section: String,
}

impl Table {
    pub(super) fn new(levels: &[Level]) -> Self {
        Self { levels: levels.to_vec(), section: String::new() }
    }

    /// One case at every level, after a heading where the type or the unit is another.
    pub(super) fn row(&mut self, console: Console, rows: &[KernelRate]) -> String {
        let Some(first) = rows.first() else { return String::new() };
        let section = match first.gflops {
            Some(_) => format!("gemm, {}: GFLOP/s, of the limit, spread", first.dtype),
            None => format!("{}: G elements/s, of the limit, spread", first.dtype),
        };
        let mut text = String::new();
        if section != self.section {
            text = format!("\n{}\n{:28}{:>5}", console.bold(&section), "", "limit");
            for level in &self.levels {
                text += &format!("{:>15}", level.name());
            }
            text += "\n";
            self.section = section;
        }
        let name = if first.gflops.is_some() {
            first.shape.clone()
        } else {
            format!("{} {}", first.kernel, first.shape)
        };
        text += &format!("{name:28}{:>5}", first.limit);
        for row in rows {
            let rate = row.gflops.or(row.gelems).unwrap_or(f64::NAN);
            text +=
                &format!("{:>6} {:>3.0}% ±{:<2.0}", figure(rate), row.percent_of_limit, 100.0 * row.spread);
        }
        text.trim_end().into()
    }
}

/// Three or four digits.
fn figure(rate: f64) -> String {
    match rate {
        99.95.. => format!("{rate:.0}"),
        9.995.. => format!("{rate:.1}"),
        _ => format!("{rate:.2}"),
    }
}
