//! The rules of optimizers, in lanes.

use super::{Optimizer, Step, UpdateNorms};
use crate::Element;
use crate::simd::apply::map_sum;
use crate::simd::{Arithmetic, Lanes, Simd};

#[inline(always)]
pub(super) fn step_kernel<T: Element, S: Simd>(
    simd: S,
    step: &Step,
    w: &mut [T],
    g: &[T],
    first: &mut [T],
    second: &mut [T],
) -> UpdateNorms {
    let mut learning_rate = step.learning_rate;
    let mut rule = Rule {
        learning_rate: splat::<T, S>(simd, step.learning_rate),
        regularisation: splat::<T, S>(simd, step.regularisation),
    };
    let [update, weights] = match step.optimizer {
        Optimizer::Sgd => map_sum(
            simd,
            [g],
            [w],
            #[inline(always)]
            |[g], [w], norms| {
                let g = rule.gradient(g, w);
                let (w, norms) = rule.descend(w, g, norms);
                ([w], norms)
            },
        ),
        Optimizer::Momentum { momentum } => {
            let momentum = splat::<T, S>(simd, momentum);
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let v = momentum.mul_add(v, rule.gradient(g, w));
                    let (w, norms) = rule.descend(w, v, norms);
                    ([w, v], norms)
                },
            )
        }
        Optimizer::Nesterov { momentum } => {
            let momentum = splat::<T, S>(simd, momentum);
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let g = rule.gradient(g, w);
                    let v = momentum.mul_add(v, g);
                    let (w, norms) = rule.descend(w, momentum.mul_add(v, g), norms);
                    ([w, v], norms)
                },
            )
        }
        Optimizer::Adam { beta1, beta2, epsilon } => {
            let adam = Adam::new::<T>(simd, step, beta1, beta2, epsilon);
            (learning_rate, rule.learning_rate) =
                (adam.learning_rate, splat::<T, S>(simd, adam.learning_rate));
            map_sum(
                simd,
                [g],
                [w, first, second],
                #[inline(always)]
                |[g], [w, m, v], norms| {
                    let (d, m, v) = adam.direction(rule.gradient(g, w), m, v);
                    let (w, norms) = rule.descend(w, d, norms);
                    ([w, m, v], norms)
                },
            )
        }
        Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
            let adam = Adam::new::<T>(simd, step, beta1, beta2, epsilon);
            (learning_rate, rule.learning_rate) =
                (adam.learning_rate, splat::<T, S>(simd, adam.learning_rate));
            let decay = splat::<T, S>(simd, weight_decay * step.learning_rate / learning_rate);
            map_sum(
                simd,
                [g],
                [w, first, second],
                #[inline(always)]
                |[g], [w, m, v], norms| {
                    let (d, m, v) = adam.direction(rule.gradient(g, w), m, v);
                    let (w, norms) = rule.descend(w, decay.mul_add(w, d), norms);
                    ([w, m, v], norms)
                },
            )
        }
        Optimizer::RmsProp { decay, epsilon } => {
            let (decay, gain, epsilon) =
                (splat::<T, S>(simd, decay), splat::<T, S>(simd, 1.0 - decay), splat::<T, S>(simd, epsilon));
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let g = rule.gradient(g, w);
                    let v = (gain * g).mul_add(g, decay * v);
                    let (w, norms) = rule.descend(w, g / (v.sqrt() + epsilon), norms);
                    ([w, v], norms)
                },
            )
        }
        Optimizer::Adagrad { epsilon } => {
            let epsilon = splat::<T, S>(simd, epsilon);
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let g = rule.gradient(g, w);
                    let v = g.mul_add(g, v);
                    let (w, norms) = rule.descend(w, g / (v.sqrt() + epsilon), norms);
                    ([w, v], norms)
                },
            )
        }
    };
    UpdateNorms { update: learning_rate * learning_rate * update, weights }
}

/// `x` in every lane.
#[inline(always)]
fn splat<T: Element, S: Simd>(simd: S, x: f64) -> T::Lanes<S> {
    T::Lanes::<S>::splat(simd, T::from_f64(x))
}

/// What all optimizers share, in lanes.
#[derive(Clone, Copy)]
struct Rule<L> {
    learning_rate: L,
    regularisation: L,
}

impl<L: Lanes> Rule<L> {
    /// The gradient of the loss with its penalty.
    #[inline(always)]
    fn gradient(self, g: L, w: L) -> L {
        self.regularisation.mul_add(w, g)
    }

    /// `w - learning_rate * d`, and the squares of `d` and `w` added to the norms.
    #[inline(always)]
    fn descend(self, w: L, d: L, [update, weights]: [L; 2]) -> (L, [L; 2]) {
        (self.learning_rate.neg_mul_add(d, w), [d.mul_add(d, update), w.mul_add(w, weights)])
    }
}

/// Adam's averages, in lanes.
#[derive(Clone, Copy)]
struct Adam<L> {
    gain1: L,
    gain2: L,
    beta2: L,
    epsilon: L,
    /// With both bias corrections in it, as `epsilon` has the second one (Kingma & Ba, end of section 2):
    /// `lr * (m / bias1) / (sqrt(v / bias2) + epsilon)` takes a division and a product less so.
    learning_rate: f64,
}

impl<L: Lanes> Adam<L> {
    #[inline(always)]
    fn new<T: Element<Lanes<L::Simd> = L>>(
        simd: L::Simd,
        step: &Step,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    ) -> Self {
        let (bias1, bias2) = (bias(beta1, step.t), libm::sqrt(bias(beta2, step.t)));
        Self {
            gain1: splat::<T, L::Simd>(simd, 1.0 - beta1),
            gain2: splat::<T, L::Simd>(simd, 1.0 - beta2),
            beta2: splat::<T, L::Simd>(simd, beta2),
            epsilon: splat::<T, L::Simd>(simd, epsilon * bias2),
            learning_rate: step.learning_rate * bias2 / bias1,
        }
    }

    /// `d`, and the averages with `g` in them.
    #[inline(always)]
    fn direction(self, g: L, m: L, v: L) -> (L, L, L) {
        let m = (g - m).mul_add(self.gain1, m);
        let v = (self.gain2 * g).mul_add(g, self.beta2 * v);
        (m / (v.sqrt() + self.epsilon), m, v)
    }
}

/// `1 - beta^t`, without cancellation.
fn bias(beta: f64, t: u64) -> f64 {
    -libm::expm1(t as f64 * libm::log(beta))
}
