//! A network on rows that it does not learn from, on several threads, to the same bits whatever their number.

use crate::error::{Failure, Outcome};
use crate::inputs::Inputs;
use crate::network::Memory;
use slicewise::{Error, Evaluation, Layer, Level, Network, inference_arena_len};
use std::thread;

/// Rows that one thread does in one go. Sums are taken within a chunk, then over the chunks in order: they depend on
/// this number, not on the threads.
const CHUNK: usize = 256;

/// Evaluates networks of given layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluator<'a> {
    pub(crate) layers: &'a [Layer],
    pub(crate) level: Level,
    pub(crate) threads: usize,
}

/// Sets the weights of a network that is bound for inference.
pub(crate) type Load<'a> = &'a (dyn Fn(&mut Network<'_, f32>) + Sync);

impl Evaluator<'_> {
    /// Loss and right answers.
    pub(crate) fn evaluate(&self, load: Load<'_>, rows: &Inputs) -> Outcome<Evaluation> {
        let parts = self.chunks(load, rows, |net, inputs, labels| net.evaluate(inputs, labels))?;
        let (mut loss, mut correct) = (0.0, 0);
        for part in &parts {
            loss += part.loss * part.rows as f64;
            correct += part.correct;
        }
        let rows = rows.labels.len();
        Ok(Evaluation { loss: loss / rows as f64, correct, rows })
    }

    /// The classes' probabilities, row after row.
    pub(crate) fn predict(&self, load: Load<'_>, rows: &Inputs) -> Outcome<Vec<f32>> {
        let parts = self.chunks(load, rows, |net, inputs, labels| {
            let mut probabilities = vec![0.0; labels.len() * net.classes()];
            net.predict(inputs, &mut probabilities)?;
            Ok(probabilities)
        })?;
        Ok(parts.concat())
    }

    /// What `work` makes of each chunk of rows, in order.
    fn chunks<R, F>(&self, load: Load<'_>, rows: &Inputs, work: F) -> Outcome<Vec<R>>
    where
        R: Send,
        F: Fn(&mut Network<'_, f32>, &[f32], &[u32]) -> Result<R, Error> + Sync,
    {
        let chunks: Vec<(&[f32], &[u32])> =
            rows.values.chunks(CHUNK * rows.width).zip(rows.labels.chunks(CHUNK)).collect();
        let threads = self.threads.clamp(1, chunks.len().max(1));
        // Thread t does every `threads`-th chunk from the t-th on.
        let share = |first: usize| -> Outcome<Vec<R>> {
            let mut memory = Memory::new(inference_arena_len(self.layers, CHUNK))?;
            let failed = |error: Error| Failure::failed(format!("evaluation: {error}"));
            let mut net = Network::bind_inference(self.layers, CHUNK, self.level, memory.slice())
                .map_err(|error| Failure::unusable(format!("the network cannot be: {error}")))?;
            load(&mut net);
            let mine = chunks.iter().skip(first).step_by(threads);
            mine.map(|(inputs, labels)| work(&mut net, inputs, labels))
                .collect::<Result<_, Error>>()
                .map_err(failed)
        };
        let shares = thread::scope(|scope| -> Outcome<Vec<Vec<R>>> {
            let share = &share;
            let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || share(first))).collect();
            let mut shares = vec![share(0)?];
            for other in others {
                let done = other.join().map_err(|_| Failure::failed("a thread of the evaluation stopped"))?;
                shares.push(done?);
            }
            Ok(shares)
        })?;
        let mut shares: Vec<_> = shares.into_iter().map(Vec::into_iter).collect();
        Ok((0..chunks.len()).filter_map(|chunk| shares[chunk % threads].next()).collect())
    }
}

/// The threads that `--threads` asks for: one for each core that this process may use.
pub(crate) fn threads(asked: Option<u32>) -> usize {
    match asked {
        Some(count) => count as usize,
        None => thread::available_parallelism().map_or(1, Into::into),
    }
}
