//! The part of the page on the kernels' throughput.

use super::canvas::{BLUE, Colour, GREEN, PURPLE, VERMILION};
use super::numbers::{bytes, short};
use super::page::{Key, Page, escape};
use super::roofline::{Ceiling, Roofline, Spot, span};
use crate::error::Outcome;
use crate::events::{KernelRate, LevelLimits, Machine};

/// What the machine can do, and how near to it the kernels come.
pub(super) fn draw(page: &mut Page, machine: &Machine, kernels: &[KernelRate]) -> Outcome<()> {
    let build = if machine.is_debug_build { ", a debug build, whose figures say little" } else { "" };
    let lead = format!("{}, one thread; slicewise {}{build}", machine.cpu, machine.version);
    page.part("Throughput of the kernels", &lead);
    figures(page, machine);
    page.grid("charts");
    for dtype in ["f32", "f64"] {
        roofline(page, machine, kernels, dtype)?;
    }
    shares(page, machine, kernels)?;
    limits(page, machine);
    page.end_grid();
    for dtype in ["f32", "f64"] {
        let of = |is_gemm: bool| {
            kernels.iter().filter(move |row| row.dtype == dtype && row.gflops.is_some() == is_gemm)
        };
        table(page, machine, &format!("gemm, {dtype}: GFLOP/s"), "m x k x n", &of(true).collect::<Vec<_>>());
        table(
            page,
            machine,
            &format!("Other kernels, {dtype}: G elements/s"),
            "kernel",
            &of(false).collect::<Vec<_>>(),
        );
    }
    Ok(())
}

fn figures(page: &mut Page, machine: &Machine) {
    let mut figures = vec![
        (format!("{:.1}", machine.fma_gflops_f32), "GFLOP/s of FMA, f32".to_string()),
        (format!("{:.1}", machine.fma_gflops_f64), "GFLOP/s of FMA, f64".to_string()),
    ];
    let bandwidths = [machine.l1_gbs, machine.l2_gbs, machine.l3_gbs, machine.dram_gbs];
    for (name, gbs) in ["L1", "L2", "L3", "DRAM"].into_iter().zip(bandwidths) {
        figures.extend(gbs.map(|gbs| (short(gbs), format!("GB/s read from {name}"))));
    }
    page.figures(&figures);
}

/// The colours of the levels, in the order in which they were measured.
fn keys(machine: &Machine) -> Vec<Key> {
    let colours = [BLUE, VERMILION, GREEN, PURPLE];
    colours.into_iter().zip(&machine.levels).map(|(colour, level)| (colour, level.level.clone())).collect()
}

fn colour(keys: &[Key], level: &str) -> Colour {
    keys.iter().find(|key| key.1 == level).map_or(PURPLE, |key| key.0)
}

fn spots<'a>(keys: &[Key], rows: impl Iterator<Item = (&'a KernelRate, f64, f64)>) -> Vec<Spot> {
    rows.map(|(row, x, y)| Spot { x, y, colour: colour(keys, &row.level), title: title(row) }).collect()
}

/// `gemm 64x64x64 NN, f32, avx2: 101 GFLOP/s, 87 % of fma, spread 2 %`.
fn title(row: &KernelRate) -> String {
    let KernelRate { kernel, shape, dtype, level, limit, .. } = row;
    let rate = match (row.gflops, row.gelems) {
        (Some(rate), _) => format!("{} GFLOP/s", short(rate)),
        (None, rate) => format!("{} G elements/s", short(rate.unwrap_or(f64::NAN))),
    };
    let (share, spread) = (row.percent_of_limit, 100.0 * row.spread);
    format!("{kernel} {shape}, {dtype}, {level}: {rate}, {share:.0} % of {limit}, spread {spread:.0} %")
}

/// Products: operations per second over operations per byte.
fn roofline(page: &mut Page, machine: &Machine, kernels: &[KernelRate], dtype: &str) -> Outcome<()> {
    let rows = || kernels.iter().filter(|row| row.dtype == dtype && row.flops > 0.0 && row.bytes > 0.0);
    let Some((left, right)) = span(rows().map(|row| row.flops / row.bytes)) else { return Ok(()) };
    let keys = keys(machine);
    let peak = |level: &LevelLimits| if dtype == "f32" { level.fma_gflops_f32 } else { level.fma_gflops_f64 };
    let mut ceilings = Vec::new();
    let mut told = Vec::new();
    if let Some(best) = machine.levels.first() {
        let top = peak(best);
        for (place, memory) in machine.memories.iter().enumerate() {
            let gbs = best.read_gbs.get(place).copied().unwrap_or(f64::NAN);
            told.push(format!("{} {}", memory.name.to_uppercase(), short(gbs)));
            let ridge = top / gbs;
            if ridge > left {
                ceilings.push(Ceiling {
                    name: memory.name.to_uppercase(),
                    at: 0.12 + 0.16 * place as f64,
                    from: (left, left * gbs),
                    to: (ridge.min(right), top.min(right * gbs)),
                });
            }
        }
        let ridge = top / best.read_gbs.first().copied().unwrap_or(f64::NAN);
        ceilings.push(Ceiling {
            name: format!("FMA {}", short(top)),
            at: 0.16,
            from: (ridge.clamp(left, right), top),
            to: (right, top),
        });
    }
    let spots = spots(&keys, rows().map(|row| (row, row.flops / row.bytes, row.flops / row.seconds / 1e9)));
    let name = "operations per byte";
    let chart = Roofline { label: "GFLOP/s over operations per byte", name, spots, ceilings };
    let note = format!(
        "Over operations per byte that has to be moved. Lines: what {} could reach, by multiply-adds and by bandwidth (GB/s: {}). \
         Point at a dot to see what it is.",
        machine.level,
        told.join(", ")
    );
    page.card(&format!("Roofline, {dtype}: GFLOP/s"), &keys, chart.svg()?.as_deref(), &note);
    Ok(())
}

/// Everything else: the share of the limit over the bytes of the operands.
fn shares(page: &mut Page, machine: &Machine, kernels: &[KernelRate]) -> Outcome<()> {
    let rows = || kernels.iter().filter(|row| row.gelems.is_some());
    let (sizes, shares) =
        (span(rows().map(|row| row.operand_bytes)), span(rows().map(|row| row.percent_of_limit)));
    let (Some((left, right)), Some((low, _))) = (sizes, shares) else { return Ok(()) };
    let keys = keys(machine);
    let limit = Ceiling { name: "limit".into(), at: 1.0, from: (left, 100.0), to: (right, 100.0) };
    let mut ceilings = vec![limit];
    for memory in &machine.memories {
        let Some(size) =
            memory.cache_bytes.map(|size| size as f64).filter(|size| (left..right).contains(size))
        else {
            continue;
        };
        let name = memory.name.to_uppercase();
        ceilings.push(Ceiling { name, at: 1.0, from: (size, low), to: (size, 170.0) });
    }
    let spots = spots(&keys, rows().map(|row| (row, row.operand_bytes, row.percent_of_limit)));
    let label = "Share of the limit over the size of the operands";
    let chart = Roofline { label, name: "bytes of the operands", spots, ceilings };
    let note = "Upright lines: what a cache holds. Kernels with much to compute (tanh, softmax, Adam) cannot reach the limit in a \
                cache: it counts the moving of operands alone.";
    page.card("Other kernels: percent of the limit", &keys, chart.svg()?.as_deref(), note);
    Ok(())
}

/// Every level's limits.
fn limits(page: &mut Page, machine: &Machine) {
    page.add(&format!("<div class=\"card\"><h3>{}</h3>\n", escape("The machine's limits")));
    let mut heads = vec![String::new()];
    heads.extend(machine.levels.iter().map(|level| level.level.clone()));
    let of_levels = |name: &str, value: &dyn Fn(&LevelLimits) -> String| -> Vec<String> {
        let values = machine.levels.iter().map(value);
        [name.to_string()].into_iter().chain(values).collect()
    };
    let mut rows = vec![
        of_levels("FMA f32, GFLOP/s", &|level| short(level.fma_gflops_f32)),
        of_levels("FMA f64, GFLOP/s", &|level| short(level.fma_gflops_f64)),
    ];
    let at = |rates: &[f64], place: usize| short(rates.get(place).copied().unwrap_or(f64::NAN));
    let mut sizes = Vec::new();
    for (place, memory) in machine.memories.iter().enumerate() {
        let name = memory.name.to_uppercase();
        rows.push(of_levels(&format!("{name} read, GB/s"), &|level| at(&level.read_gbs, place)));
        rows.push(of_levels(&format!("{name} copy, GB/s"), &|level| at(&level.copy_gbs, place)));
        rows.push(of_levels(&format!("{name} update, GB/s"), &|level| at(&level.update_gbs, place)));
        let within = memory.cache_bytes.map_or(String::new(), |size| format!(" of {}", bytes(size as usize)));
        sizes.push(format!("{name} {}{within}", bytes(memory.working_set_bytes as usize)));
    }
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    page.table("numbers named", &heads, &rows);
    let assumed = if machine.caches_are_assumed { " The sizes of the caches are assumed." } else { "" };
    let note = format!(
        "Copies and updates (in place) count what they read and what they write. Measured in: {}.{assumed}",
        sizes.join(", ")
    );
    page.add(&format!("<p class=\"note\">{}</p></div>\n", escape(&note)));
}

/// One case a row, and its levels side by side.
fn table(page: &mut Page, machine: &Machine, title: &str, first: &str, rows: &[&KernelRate]) {
    if rows.is_empty() {
        return;
    }
    let mut heads = vec![first.to_string(), "limit".into()];
    for level in &machine.levels {
        heads.extend([level.level.clone(), "of limit".into(), "spread".into(), "time".into()]);
    }
    let mut cells: Vec<Vec<String>> = Vec::new();
    for of_case in rows.chunk_by(|a, b| a.kernel == b.kernel && a.shape == b.shape) {
        let Some(case) = of_case.first() else { continue };
        let name = if case.gflops.is_some() {
            case.shape.clone()
        } else {
            format!("{} {}", case.kernel, case.shape)
        };
        let mut row = vec![name, case.limit.clone()];
        for level in &machine.levels {
            let Some(rate) = of_case.iter().find(|rate| rate.level == level.level) else {
                row.extend(["–"; 4].map(String::from));
                continue;
            };
            row.push(short(rate.gflops.or(rate.gelems).unwrap_or(f64::NAN)));
            row.push(format!("{:.0} %", rate.percent_of_limit));
            row.push(format!("{:.0} %", 100.0 * rate.spread));
            row.push(time(rate.seconds));
        }
        cells.push(row);
    }
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    page.add(&format!("<details class=\"card\" open><summary>{}</summary>\n", escape(title)));
    page.table("numbers named", &heads, &cells);
    page.add("</details>\n");
}

/// `12.3 µs`.
fn time(seconds: f64) -> String {
    match seconds {
        1.0.. => format!("{seconds:.2} s"),
        1e-3.. => format!("{} ms", short(seconds * 1e3)),
        1e-6.. => format!("{} µs", short(seconds * 1e6)),
        _ => format!("{} ns", short(seconds * 1e9)),
    }
}
