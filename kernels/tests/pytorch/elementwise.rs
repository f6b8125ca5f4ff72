//! Functions, activations and PReLU.

use slicewise_kernels::{
    Activation, Element, Function, Level, activate, activation_backward, activation_backward_from_input,
    apply, prelu, prelu_backward,
};

use crate::layout::Layout;
use crate::table::{Case, epsilon, is_single, room, ulp};

/// The bounds are those of [`Function`]'s documentation; the portable level's, those of `docs/accuracy.md`.
pub(crate) fn function<T: Element>(case: &Case, level: Level) {
    let (function, fused, portable, double) = match case.key().1 {
        "exp" => (Function::Exp, 1.0, 1.0, 1.0),
        "exp2" => (Function::Exp2, 1.1, 1.2, 1.0),
        "expm1" => (Function::ExpM1, 1.5, 1.5, 1.0),
        "log" => (Function::Ln, 0.9, 0.9, 1.0),
        "log1p" => (Function::Ln1p, 1.4, 1.4, 1.0),
        "tanh" => (Function::Tanh, 1.3, 1.5, 2.0),
        "sigmoid" => (Function::Sigmoid, 1.5, 1.5, 2.0),
        "erf" => (Function::Erf, 1.5, 1.5, 1.0),
        "sqrt" => (Function::Sqrt, 0.5, 0.5, 1.0),
        "rsqrt" => (Function::Rsqrt, 0.5, 1.0, 2.0),
        name => panic!("no function is {name}"),
    };
    let ulps = if !is_single::<T>() {
        double
    } else if level == Level::Portable {
        portable
    } else {
        fused
    };
    let x = case.inputs::<T>("x");
    let mut y = room(x.len());
    apply(level, function, &x, &mut y).unwrap();
    case.holds(level, "y", &y, |_, fact| ulps * ulp::<T>(fact));
}

/// An activation, how many ULP its value and its derivative may be off, and what terms cancel in the derivative.
struct Bounds {
    activation: Activation,
    value: f64,
    derivative: f64,
    terms: f64,
}

/// Those of a name: the accurate one and the fast one where there are two.
fn named<T: Element>(case: &Case, level: Level) -> Vec<Bounds> {
    let portable = level == Level::Portable;
    let of = |activation, value, derivative, terms| Bounds { activation, value, derivative, terms };
    let parameter = || case.value("parameter");
    // The exponential's argument, rounded, is what f64 leaves of the tails of GELU: up to 700.
    let tail = |single: f64| if is_single::<T>() { single } else { 3000.0 };
    match case.key().1 {
        "relu" => vec![of(Activation::Relu, 0.0, 0.0, 0.0)],
        "leaky_relu" => vec![of(Activation::LeakyRelu { slope: parameter() }, 1.0, 1.0, 0.0)],
        "elu" => vec![of(Activation::Elu { alpha: parameter() }, 1.0, 1.5, 0.0)],
        // alpha is rounded to f32.
        "elu_scaled" => vec![of(Activation::Elu { alpha: parameter() }, 2.5, 2.5, 0.0)],
        "selu" => vec![of(Activation::Selu, 2.5, 2.0, 1.0)],
        "sigmoid" => vec![
            of(Activation::Sigmoid, 1.5, 4.0, 0.0),
            of(Activation::SigmoidFast, if portable { 5.0 } else { 4.0 }, 4.0, 0.0),
        ],
        "tanh" => vec![
            of(Activation::Tanh, 1.5, 4.0, 0.0),
            of(Activation::TanhFast, if portable { 8.0 } else { 6.5 }, 4.0, 0.0),
        ],
        "softplus" => vec![of(Activation::Softplus, 2.0, 2.0, 0.0)],
        "gelu" => vec![
            of(Activation::Gelu, tail(if portable { 6.0 } else { 4.0 }), tail(8.0), 2.0),
            of(Activation::GeluFast, tail(if portable { 9.0 } else { 7.5 }), tail(8.0), 2.0),
        ],
        // The portable level rounds the products in the exponential's argument.
        "gelu_tanh" => {
            vec![of(Activation::GeluTanh, tail(if portable { 500.0 } else { 5.0 }), tail(200.0), 2.0)]
        }
        "silu" => vec![of(Activation::Silu, 4.0, 6.0, 2.0)],
        "hard_sigmoid" => vec![of(Activation::HardSigmoid, 1.0, 1.0, 0.0)],
        "hard_tanh" => vec![of(Activation::HardTanh, 0.0, 0.0, 0.0)],
        "hard_swish" => vec![of(Activation::HardSwish, 2.0, 2.0, 1.0)],
        name => panic!("no activation is {name}"),
    }
}

pub(crate) fn activation<T: Element>(case: &Case, level: Level) {
    let (x, dy) = (case.inputs::<T>("x"), case.inputs::<T>("dy"));
    for Bounds { activation, value, derivative, terms } in named::<T>(case, level) {
        let mut y = room(x.len());
        activate(level, activation, &x, &mut y).unwrap();
        let falls_early = |x: f64| activation == Activation::SigmoidFast && is_single::<T>() && x < -87.25;
        case.holds(
            level,
            "y",
            &y,
            |i, fact| {
                if falls_early(x[i].to_f64()) { 6.3e-39 } else { value * ulp::<T>(fact) }
            },
        );

        let dy_of = |i: usize| dy[i].to_f64().abs();
        // PyTorch too has the derivative from a rounded output.
        let of_fact = |i| 4.0 * f64::EPSILON * dy_of(i);
        let mut dx = room(x.len());
        activation_backward_from_input(level, activation, &x, &dy, &mut dx).unwrap();
        case.holds(level, "dx", &dx, |i, fact| {
            let product = (derivative + 0.5) * ulp::<T>(fact) + 2.0 * ulp::<T>(0.0) * (1.0 + dy_of(i));
            product + terms * epsilon::<T>() * dy_of(i) + of_fact(i)
        });
        if activation.output_tells_derivative() {
            activation_backward(level, activation, &y, &dy, &mut dx).unwrap();
            // The output has rounded, near its limit to `value` units there, at most twice the spacing at 1.
            case.holds(level, "dx", &dx, |i, fact| {
                if activation == Activation::HardSigmoid && y[i] == T::from(1) {
                    // An input below 3 whose output has rounded to the limit, where the derivative is 0.
                    return fact.abs();
                }
                let output = 2.0 * (value + 1.0) * epsilon::<T>() * dy_of(i);
                (derivative + 0.5) * ulp::<T>(fact) + output + of_fact(i)
            });
        }
    }
}

/// One product is rounded; the slopes' gradients are sums.
pub(crate) fn prelu_both_ways<T: Element>(case: &Case, level: Level) {
    let layout = Layout::of(case);
    let channels = layout.channels;
    let (x, slopes, dy) = (case.inputs::<T>("x"), case.inputs::<T>("slopes"), case.inputs::<T>("dy"));
    let mut y = room(x.len());
    prelu(level, channels, &x, &slopes, &mut y).unwrap();
    case.holds(level, "y", &y, |_, fact| 0.5 * ulp::<T>(fact));
    let (mut dx, mut dslopes) = (room(x.len()), room(slopes.len()));
    prelu_backward(level, channels, &x, &slopes, &dy, &mut dx, &mut dslopes).unwrap();
    case.holds(level, "dx", &dx, |_, fact| 0.5 * ulp::<T>(fact));
    let mut terms = vec![0.0; slopes.len()];
    for (i, (x, dy)) in x.iter().zip(&dy).enumerate() {
        terms[layout.channel(i)] += (x.to_f64().min(0.0) * dy.to_f64()).abs();
    }
    case.holds(level, "dslopes", &dslopes, |c, _| 2.0 * epsilon::<T>() * terms[c]);
}
