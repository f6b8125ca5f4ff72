//! The machine under the kernels: its name and its caches.

use super::case::Dtype;
use crate::events::Memory;
use std::fs;
use std::path::Path;

/// What a cache can hold where the system does not tell: small enough for most machines.
const ASSUMED: [u64; 3] = [32 << 10, 512 << 10, 16 << 20];

/// The caches and the memory behind them, and whether the sizes are the system's own.
pub(super) fn memories() -> (Vec<Memory>, bool) {
    let told = cache_sizes(Path::new("/sys/devices/system/cpu/cpu0/cache"));
    let is_told = told.first().is_some_and(|size| *size > 0);
    (in_levels(if is_told { &told } else { &ASSUMED }), is_told)
}

/// Bytes of each data cache of the first core, from L1 on; none where the system does not tell.
fn cache_sizes(directory: &Path) -> Vec<u64> {
    let mut sizes = Vec::new();
    for index in 0..10 {
        let of = |name: &str| {
            let text = fs::read_to_string(directory.join(format!("index{index}")).join(name)).ok()?;
            Some(text.trim().to_string())
        };
        let (Some(level), Some(kind), Some(size)) = (of("level"), of("type"), of("size")) else { continue };
        if let (Ok(level @ 1..=3), Some(size)) = (level.parse::<usize>(), bytes(&size))
            && kind != "Instruction"
        {
            sizes.resize(sizes.len().max(level), 0);
            sizes[level - 1] = size;
        }
    }
    sizes
}

/// `32K` in bytes.
fn bytes(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'K' => 1 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        _ => 1,
    };
    text.trim_end_matches(['K', 'M', 'G']).parse::<u64>().ok()?.checked_mul(unit)
}

/// The caches of these sizes that are larger than those before them, and the memory behind.
fn in_levels(sizes: &[u64]) -> Vec<Memory> {
    let mut memories: Vec<Memory> = Vec::new();
    let mut before = 0;
    for (name, &size) in ["l1", "l2", "l3"].into_iter().zip(sizes) {
        if size <= before {
            continue;
        }
        // Others use the last level too, and its far end is out of the address cache's reach: a little more than the level before
        // holds.
        let working_set = match name {
            "l3" => (size / 4).min(4 * before).max(2 * before).min(size / 2),
            _ => size / 2,
        };
        memories.push(Memory { name: name.into(), cache_bytes: Some(size), working_set_bytes: working_set });
        before = size;
    }
    let working_set = (4 * before).clamp(64 << 20, 1 << 30);
    memories.push(Memory { name: "dram".into(), cache_bytes: None, working_set_bytes: working_set });
    memories
}

/// What the CPU calls itself. On Linux with family and model, where there are any: names of virtual machines say little.
pub(super) fn cpu() -> String {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    named(&told).or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok()).unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        format!("{} CPU, {cores} cores", std::env::consts::ARCH)
    })
}

fn named(cpuinfo: &str) -> Option<String> {
    let of = |name: &str| {
        let mut pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
    };
    let name = of("model name").filter(|name| !name.is_empty())?;
    Some(match (of("cpu family"), of("model")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name.to_string(),
    })
}

/// The first memory that holds so many bytes, by its place.
pub(super) fn holding(memories: &[Memory], footprint: f64) -> usize {
    let holds = |memory: &Memory| memory.cache_bytes.is_none_or(|size| footprint <= size as f64);
    memories.iter().position(holds).unwrap_or(memories.len().saturating_sub(1))
}

/// The types, as the command line orders them.
pub(super) const DTYPES: [Dtype; 2] = [Dtype::F32, Dtype::F64];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_read_from_the_system() {
        let directory = tempfile::tempdir().unwrap();
        for (index, level, kind, size) in [
            (0, "1", "Data", "48K"),
            (1, "1", "Instruction", "64K"),
            (2, "2", "Unified", "2048K"),
            (3, "3", "Unified", "30M"),
        ] {
            let path = directory.path().join(format!("index{index}"));
            fs::create_dir(&path).unwrap();
            for (name, text) in [("level", level), ("type", kind), ("size", size)] {
                fs::write(path.join(name), format!("{text}\n")).unwrap();
            }
        }
        assert_eq!(cache_sizes(directory.path()), [48 << 10, 2 << 20, 30 << 20]);
        assert!(cache_sizes(&directory.path().join("missing")).is_empty());
        assert_eq!([bytes("x"), bytes(""), bytes("7")], [None, None, Some(7)]);
    }

    #[test]
    fn every_working_set_fits_its_cache_and_no_other() {
        for sizes in [
            &[48 << 10, 2 << 20, 30 << 20][..],
            &ASSUMED,
            &[128 << 10, 12 << 20],
            &[32 << 10, 0, 8 << 20],
            &[32 << 10, 2 << 20, 6 << 20],
            &[],
        ] {
            let memories = in_levels(sizes);
            let mut before = 0;
            for memory in &memories {
                assert!(memory.working_set_bytes > before, "{memories:?}");
                assert!(
                    memory.cache_bytes.is_none_or(|size| memory.working_set_bytes <= size),
                    "{memories:?}"
                );
                before = memory.cache_bytes.unwrap_or(0);
            }
            assert_eq!(memories.last().unwrap().name, "dram");
            assert_eq!(holding(&memories, 1e12), memories.len() - 1);
            assert_eq!(holding(&memories, 1.0), 0);
        }
    }

    #[test]
    fn a_cpu_has_a_name() {
        let told = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n";
        assert_eq!(named(told).unwrap(), "AMD EPYC (family 25, model 17)");
        assert_eq!(named("model name: Cortex\n").unwrap(), "Cortex");
        assert_eq!(named("Hardware: board\n"), None);
        assert!(!cpu().is_empty());
    }
}
