//! The best epoch of a run so far: its measurements and its weights, which become the model.

use crate::metrics::Epoch;
use crate::model::BestEpoch;
use crate::network::Snapshot;
use slicewise::{Network, Parallel};

/// The best epoch so far, by validation accuracy, and by validation loss where that is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Best {
    measured: Option<BestEpoch>,
    weights: Snapshot,
}

impl Best {
    /// That of a run that goes on.
    pub(crate) fn resumed(measured: BestEpoch, net: &Network<'_, f32, impl Parallel>) -> Self {
        let mut best = Self { measured: Some(measured), weights: Snapshot::default() };
        best.weights.take(net);
        best
    }

    /// Keeps the weights of an epoch that is better than all before it.
    pub(crate) fn offer(&mut self, epoch: &Epoch, net: &Network<'_, f32, impl Parallel>) {
        let loss = if epoch.val_loss.is_finite() { epoch.val_loss } else { f64::MAX };
        let new = BestEpoch { epoch: epoch.epoch, val_acc: epoch.val_acc, val_loss: loss };
        if self.measured.is_none_or(|best| is_better(&new, &best)) {
            self.measured = Some(new);
            self.weights.take(net);
        }
    }

    /// Its measurements; none before the first epoch.
    pub(crate) fn measured(&self) -> Option<BestEpoch> {
        self.measured
    }

    /// Its weights; none before the first epoch.
    pub(crate) fn weights(&self) -> Option<&Snapshot> {
        self.measured.is_some().then_some(&self.weights)
    }
}

fn is_better(new: &BestEpoch, old: &BestEpoch) -> bool {
    (new.val_acc, -new.val_loss) > (old.val_acc, -old.val_loss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slicewise::{Layer, Level, Role, arena_len};

    #[test]
    fn accuracy_decides_then_loss_then_the_earlier() {
        const NET: &[Layer] = &[Layer::dense(2, 2)];
        let mut arena = [0.0; arena_len(NET, 1)];
        let mut net = Network::bind(NET, 1, Level::Portable, &mut arena).unwrap();
        let mut best = Best::default();
        assert!(best.weights().is_none());
        let mut epoch = crate::metrics::tests::example(1).epochs[0].clone();
        for (number, val_acc, val_loss, kept) in [
            (1, 0.5, f64::NAN, 1),
            (2, 0.5, 0.9, 2),
            (3, 0.6, 1.5, 3),
            (4, 0.6, 1.4, 4),
            (5, 0.6, 1.4, 4),
            (6, 0.5, 0.1, 4),
        ] {
            (epoch.epoch, epoch.val_acc, epoch.val_loss) = (number, val_acc, val_loss);
            net.tensor_mut(0, Role::Weight).unwrap().fill(number as f32);
            best.offer(&epoch, &net);
            assert_eq!(best.measured().unwrap().epoch, kept);
            let mut arena = [0.0; arena_len(NET, 1)];
            let mut copy = Network::bind(NET, 1, Level::Portable, &mut arena).unwrap();
            best.weights().unwrap().restore(&mut copy);
            assert_eq!(copy.tensor(0, Role::Weight).unwrap(), [kept as f32; 4]);
        }
    }
}
