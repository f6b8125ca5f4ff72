//! The threads that steps run on.

use crate::error::{Failure, Outcome};
use slicewise::{Network, Parallel};

/// The threads that `--threads` asks for. Results are the same bits whatever their number.
#[derive(Debug)]
pub(crate) enum Pool {
    /// The caller's own.
    One,
    /// Threads that wait for work.
    Many(rayon::ThreadPool),
}

/// A network that trains.
pub(crate) type Net<'a> = Network<'a, f32, &'a Pool>;

/// For work that runs beside other work of its kind.
pub(crate) static ONE: Pool = Pool::One;

/// Bytes of a thread's stack: what the main thread has.
const STACK: usize = 8 << 20;

impl Pool {
    pub(crate) fn new(threads: usize) -> Outcome<Self> {
        if threads < 2 {
            return Ok(Self::One);
        }
        let name = |index| format!("pool-{index}");
        let builder =
            rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK).thread_name(name);
        let pool =
            builder.build().map_err(|error| Failure::unusable(format!("--threads {threads}: {error}")))?;
        // What a thread allocates once, it allocates here, and not in the first step.
        pool.broadcast(|_| ());
        Ok(Self::Many(pool))
    }

    /// Runs `work` on a thread of the pool, from where its joins take no memory.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::One => work(),
            Self::Many(pool) => pool.install(work),
        }
    }
}

impl Parallel for Pool {
    fn threads(&self) -> usize {
        match self {
            Self::One => 1,
            Self::Many(pool) => pool.threads(),
        }
    }

    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        match self {
            Self::One => {
                a();
                b();
            }
            Self::Many(pool) => Parallel::join(pool, a, b),
        }
    }
}
