//! Clipping and the optimizers' steps.

use slicewise_kernels::{Element, Level, Optimizer, Step, clip_by_norm, optimizer_step};

use crate::table::{Case, epsilon, ulp};

pub(crate) fn clip<T: Element>(case: &Case, level: Level) {
    let mut gradient = case.inputs::<T>("gradient");
    let norm = clip_by_norm(level, case.value("max_norm"), &mut gradient).unwrap();
    case.holds(level, "norm", &[T::from_f64(norm)], |_, fact| 6.0 * epsilon::<T>() * fact);
    // PyTorch divides by norm + 1e-6: as much more is right here.
    let clipped = norm > case.value("max_norm");
    let added: f64 = case.value("added");
    let surplus = if clipped { added / norm } else { 0.0 };
    let actual: Vec<T> = gradient.iter().map(|g| T::from_f64(g.to_f64() / (1.0 + surplus))).collect();
    let roundings = if clipped { 8.0 } else { 0.0 };
    case.holds(level, "clipped", &actual, |_, fact| roundings * ulp::<T>(fact));
}

/// A rule by its name in the table.
fn rule(case: &Case) -> Optimizer {
    let epsilon = || case.value("epsilon");
    let betas = || match *case.values("betas") {
        [beta1, beta2] => (beta1, beta2),
        ref betas => panic!("two betas, not {betas:?}"),
    };
    match case.key().1 {
        "sgd" => Optimizer::Sgd,
        "momentum" => Optimizer::Momentum { momentum: case.value("kept") },
        "nesterov" => Optimizer::Nesterov { momentum: case.value("kept") },
        "adam" | "adam_epsilon" => {
            let (beta1, beta2) = betas();
            Optimizer::Adam { beta1, beta2, epsilon: epsilon() }
        }
        "adam_w" | "adam_w_epsilon" => {
            let (beta1, beta2) = betas();
            Optimizer::AdamW { beta1, beta2, epsilon: epsilon(), weight_decay: case.value("decay") }
        }
        "rms_prop" | "rms_prop_epsilon" => {
            Optimizer::RmsProp { decay: case.value("kept"), epsilon: epsilon() }
        }
        "adagrad" | "adagrad_epsilon" => Optimizer::Adagrad { epsilon: epsilon() },
        name => panic!("no optimizer is {name}"),
    }
}

pub(crate) fn optimizer<T: Element>(case: &Case, level: Level) {
    let optimizer = rule(case);
    let mut w = case.inputs::<T>("w");
    let slots = |used| vec![T::default(); if used { w.len() } else { 0 }];
    let mut first = slots(optimizer.state_slots() > 0);
    let mut second = slots(optimizer.state_slots() > 1);
    // AdamW's decay is its own.
    let regularisation = if matches!(optimizer, Optimizer::AdamW { .. }) { 0.0 } else { case.value("decay") };
    for (t, g) in (1..).zip(case.inputs::<T>("g").chunks(w.len())) {
        let step = Step { optimizer, learning_rate: case.value("rate"), regularisation, t };
        optimizer_step(level, &step, &mut w, g, &mut first, &mut second).unwrap();
    }
    // Four steps, each of some roundings of values of about 1.
    case.holds(level, "stepped", &w, |_, fact| 4.0 * epsilon::<T>() * (1.0 + fact.abs()));
    if !first.is_empty() {
        case.holds(level, "first", &first, |_, fact| 8.0 * epsilon::<T>() * (1.0 + fact.abs()));
    }
    if !second.is_empty() {
        case.holds(level, "second", &second, |_, fact| 8.0 * epsilon::<T>() * fact);
    }
}
