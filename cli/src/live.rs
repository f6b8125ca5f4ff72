//! The picture of a training on a terminal, redrawn in place: losses, accuracies, update ratios, the time that is left.

use crate::console::columns;
use crate::metrics::Epoch;
use crate::report::{duration, thousands};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::time::{Duration, Instant};

/// A picture that is redrawn; what it shows last stays on the screen.
#[derive(Debug)]
pub(crate) struct Live {
    bar: ProgressBar,
    view: View,
    begun: Instant,
    drawn: Instant,
}

impl Live {
    /// More often is not seen.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Of a run of so many epochs, with these names of weight matrices.
    pub(crate) fn new(epochs: u32, matrices: &[String]) -> Self {
        // No length and no ticking thread: the message is all there is, and it is drawn when it is set.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
        let view = View { epochs, matrices: matrices.to_vec(), ..View::default() };
        let now = Instant::now();
        Self { bar, view, begun: now, drawn: now }
    }

    /// An epoch (from 1) begins.
    pub(crate) fn begin(&mut self, epoch: u32) {
        (self.view.epoch, self.view.share) = (epoch, 0.0);
    }

    /// So many of the epoch's rows are done. Cheap unless it draws.
    pub(crate) fn step(&mut self, rows: usize, all: usize) {
        if self.drawn.elapsed() >= Self::PAUSE {
            self.view.share = rows as f64 / all as f64;
            self.draw();
        }
    }

    /// An epoch is over.
    pub(crate) fn epoch(&mut self, epoch: &Epoch) {
        self.view.share = 1.0;
        self.view.log.push(epoch.clone());
        if self.drawn.elapsed() >= Self::PAUSE || self.view.log.len() == 1 {
            self.draw();
        }
    }

    fn draw(&mut self) {
        self.drawn = Instant::now();
        self.view.seconds = self.begun.elapsed().as_secs_f64();
        self.bar.set_message(self.view.lines(columns()).join("\n"));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.draw();
        self.bar.abandon();
        // What follows begins on a line of its own; a closed terminal needs none.
        let _ = writeln!(std::io::stdout());
    }
}

/// What there is to show.
#[derive(Debug, Clone, Default)]
struct View {
    epochs: u32,
    matrices: Vec<String>,
    /// The epoch at work, from 1, and how much of it is done.
    epoch: u32,
    share: f64,
    /// Since the first step of this process.
    seconds: f64,
    log: Vec<Epoch>,
}

/// Columns before the curves, and after them.
const LABEL: usize = 22;
const FIGURE: usize = 28;
/// More matrices would not leave room for the rest on a small terminal.
const MOST_MATRICES: usize = 8;
/// Powers of ten at the ends of the scale of update ratios.
const DECADES: (f64, f64) = (-6.0, 0.0);
/// Ratios within this factor of 1e-3 are marked as good.
const BAND: f64 = 3.0;

impl View {
    /// The picture, in lines of at most `width` columns.
    fn lines(&self, width: usize) -> Vec<String> {
        let room = width.saturating_sub(LABEL + FIGURE + 1).clamp(10, 100);
        let mut lines = vec![self.head(width)];
        let Some(last) = self.log.last() else { return lines };
        let mut curve = |label: &str, value: fn(&Epoch) -> f64, is_loss: bool, figure: String| {
            let values: Vec<f64> = self.log.iter().map(value).collect();
            lines.push(format!("{label:<LABEL$}{:<room$} {figure}", spark(&values, room, is_loss)));
        };
        let key = |epoch: &Epoch| (epoch.val_acc, -epoch.val_loss);
        let best = self.log.iter().reduce(|best, epoch| if key(epoch) > key(best) { epoch } else { best });
        let best = best.map_or(0, |best| best.epoch);
        curve("loss      training", |e| e.train_loss, true, format!("{:.4}", last.train_loss));
        curve("          validation", |e| e.val_loss, true, format!("{:.4}", last.val_loss));
        curve(
            "accuracy  training",
            |e| e.train_acc,
            false,
            format!("{:.4}  gap {:+.4}", last.train_acc, last.gap),
        );
        curve(
            "          validation",
            |e| e.val_acc,
            false,
            format!("{:.4}  best epoch {best}", last.val_acc),
        );
        lines.extend(self.ratios(last, room));
        lines
    }

    fn head(&self, width: usize) -> String {
        let done = f64::from(self.epoch.saturating_sub(1)) + self.share;
        let mut text = format!("epoch {:>4}/{}  ", self.epoch, self.epochs);
        let mut tail = format!("  {:>3.0}%", 100.0 * done / f64::from(self.epochs));
        let left = self.left().map(|left| format!("  {} left", duration(left)));
        let last = self.log.last();
        let lr = last.map(|last| format!("  lr {:.1e}", last.lr));
        let speed = last.map(|last| format!("  {} rows/s", thousands(last.samples_per_s as usize)));
        for part in [left, lr, speed].into_iter().flatten() {
            // The bar wants a few columns too.
            if text.chars().count() + tail.chars().count() + part.chars().count() + 10 <= width {
                tail += &part;
            }
        }
        let room = width.saturating_sub(text.chars().count() + tail.chars().count() + 1).min(30);
        let full = (room as f64 * done / f64::from(self.epochs)) as usize;
        text.extend((0..room).map(|cell| if cell < full { '━' } else { '─' }));
        text + &tail
    }

    /// The time that the other epochs take at the pace of those so far.
    fn left(&self) -> Option<f64> {
        let first = self.log.first()?.epoch;
        let done = f64::from(self.epoch - first) + self.share;
        let all = f64::from(self.epochs + 1 - first);
        (done > 0.0 && done < all).then(|| self.seconds * (all - done) / done)
    }

    /// Each weight matrix's update ratio on a logarithmic scale.
    fn ratios(&self, last: &Epoch, room: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let ratio = |name: &str| last.update_ratio.iter().find(|ratio| ratio.0 == name).map(|ratio| ratio.1);
        for name in self.matrices.iter().take(MOST_MATRICES) {
            let Some(ratio) = ratio(name) else { continue };
            // The end of a name tells more than its beginning.
            let short: String = name.chars().skip(name.chars().count().saturating_sub(LABEL - 3)).collect();
            lines.push(format!("  {short:<0$}{1} {ratio:.1e}", LABEL - 2, scale(ratio, room)));
        }
        if self.matrices.len() > MOST_MATRICES {
            lines.push(format!("  and {} more", self.matrices.len() - MOST_MATRICES));
        }
        if !lines.is_empty() {
            let (low, high) = DECADES;
            let (low, high) = (format!("1e{low}"), format!("1e{high}"));
            let middle = (place(1e-3, room) + 2).saturating_sub(low.len());
            let label = "update / weight";
            let rest = room.saturating_sub(low.len() + middle + high.len());
            lines.insert(
                0,
                format!("{label:<LABEL$}{low}{:>middle$}{high:>rest$}", "1e-3", rest = rest + high.len()),
            );
        }
        lines
    }
}

/// A ratio's cell on a scale of `room` cells.
fn place(ratio: f64, room: usize) -> usize {
    let (low, high) = DECADES;
    let share = (ratio.max(f64::MIN_POSITIVE).log10() - low) / (high - low);
    ((share * room as f64).max(0.0) as usize).min(room.saturating_sub(1))
}

/// `······░░●░░········`: the band of good ratios shaded, the ratio a dot.
fn scale(ratio: f64, room: usize) -> String {
    let band = place(1e-3 / BAND, room)..=place(1e-3 * BAND, room);
    let at = place(ratio, room);
    let cell = |cell| match cell {
        cell if cell == at => '●',
        cell if band.contains(&cell) => '░',
        _ => '·',
    };
    (0..room).map(cell).collect()
}

/// The values as bars of eight heights from the smallest to the largest, on a logarithmic scale for losses. Where there are
/// more values than cells, a cell shows the mean of its share.
fn spark(values: &[f64], room: usize, logarithmic: bool) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let cells = values.len().min(room);
    let means: Vec<f64> = (0..cells)
        .map(|cell| {
            let share = &values[cell * values.len() / cells..(cell + 1) * values.len() / cells];
            let mean = share.iter().sum::<f64>() / share.len() as f64;
            if logarithmic && mean.is_finite() { mean.max(1e-30).ln() } else { mean }
        })
        .collect();
    let finite = || means.iter().copied().filter(|mean| mean.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let bar = |mean: &f64| match (mean - low) / (high - low) {
        _ if !mean.is_finite() => '?',
        height if height.is_finite() => BARS[((height * 8.0) as usize).min(7)],
        // All the same.
        _ => BARS[3],
    };
    means.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(epochs: u32) -> View {
        let log = crate::metrics::tests::example(epochs);
        View {
            epochs: 40,
            matrices: log.start.matrices.clone(),
            epoch: epochs + 1,
            share: 0.5,
            seconds: 3.0,
            log: log.epochs,
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [60, 72, 80, 120, 300] {
            for epochs in [0, 1, 5, 39] {
                for line in view(epochs).lines(width) {
                    assert!(line.chars().count() <= width, "{width}: {} {line}", line.chars().count());
                }
            }
        }
        let mut deep = view(3);
        deep.matrices = (0..30).map(|layer| format!("layers.{layer}.weight")).collect();
        deep.log[2].update_ratio = deep.matrices.iter().map(|name| (name.clone(), 1e-3)).collect();
        assert!(deep.lines(80).len() < 20);
    }

    #[test]
    fn the_picture_has_what_is_promised() {
        let lines = view(10).lines(80);
        let all = lines.join("\n");
        for part in
            ["epoch   11/40", "26%", " left", "rows/s", "loss      training", "gap ", "best epoch", "1e-3"]
        {
            assert!(all.contains(part), "{part}:\n{all}");
        }
        assert_eq!(lines.iter().filter(|line| line.contains('●')).count(), 3);
        // 10.5 epochs in 3 s: 29.5 more in 8.43 s.
        assert!(lines[0].contains("8.43 s left"), "{}", lines[0]);
        assert_eq!(View { epochs: 3, epoch: 1, ..View::default() }.lines(80).len(), 1);
    }

    #[test]
    fn bars_follow_the_values() {
        assert_eq!(spark(&[0.0, 1.0, 2.0, 7.0], 10, false), "▁▂▃█");
        assert_eq!(spark(&[1.0, 10.0, 100.0], 10, true), "▁▅█");
        assert_eq!(spark(&[1.0, 1.0], 10, false), "▄▄");
        assert_eq!(spark(&[1.0, f64::NAN, 2.0], 10, true), "▁?█");
        assert_eq!(spark(&[0.0, 0.0, 1.0, 1.0, 2.0, 2.0], 3, false), "▁▅█");
        assert_eq!(spark(&[], 3, false), "");
    }

    #[test]
    fn the_dot_stands_on_its_decade_and_the_band_around_a_thousandth() {
        let dot = |ratio| scale(ratio, 60).chars().position(|c| c == '●').unwrap();
        assert_eq!([dot(1e-7), dot(1.0001e-6), dot(1.0001e-3), dot(0.5), dot(7.0)], [0, 0, 30, 56, 59]);
        assert_eq!(dot(0.0), 0);
        let band: Vec<usize> =
            scale(1.0, 60).chars().enumerate().filter(|(_, c)| *c == '░').map(|(at, _)| at).collect();
        assert_eq!((band.first(), band.last()), (Some(&25), Some(&34)));
    }
}
