"""What PyTorch computes, as the table `facts.txt` that `main.rs` holds the kernels to.

    pip install torch
    python facts.py > facts.txt         makes the table
    python facts.py --check facts.txt   makes it again and compares

The table in the repository is of PyTorch 2.15.0 and Python 3.11, on a CPU: no GPU is used, nor NumPy.

Inputs are numbers of three digits or special values, read as `f32`: exact in the program and here, whatever the type it computes
in. Outputs are PyTorch's in float64, with all digits. So bounds are of the kernels' errors, not of PyTorch's own in float32, whose
sigmoid, SiLU and GELU lose the negative tail.

Where PyTorch means something else, or its float64 is no fact:

- GELU as PyTorch has it adds 1 to erf or tanh, and float64 too loses the negative tail. The fact is its formula written with
  `erfc` and `sigmoid`, which does not; it must agree with `torch.nn.functional.gelu` to what the latter can be right to.
- Softplus beyond PyTorch's threshold of 20 is the identity, which float64 tells from it: the threshold is 100 here.
- The gradient of hard sigmoid has a sixth as float32, in float64 too: replaced by a sixth.
- Points where its output or its gradient is NaN without one in the input (GELU and SiLU at infinity: inf * 0) are left out.
- `clip_grad_norm_` divides by `norm + 1e-6`, the kernel by the norm: the test puts the difference back.
- `MultiMarginLoss` takes a mean over classes where `hinge` sums: scaled here.
- All optimizers mean the same; the regularisation of a `Step` is `weight_decay` here, but for AdamW, whose own it is.
  `differentiable`, `foreach` and `fused` are ways to compute them and not asked for.
"""

import math
import random
import sys
import warnings

# It says that NumPy is missing, which nothing here needs.
warnings.filterwarnings("ignore", message=".*NumPy")
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
torch.set_default_dtype(torch.float64)

uniform = random.Random(231).random


def digits(value):
    """Three digits: short to write, and an `f32` with every bit in use."""
    return float(f"{value:.3g}")


def normals(*shape, scale=1.0, shift=0.0):
    """About normal, the sum of four uniform numbers. `random()` is the same in every Python."""
    count = math.prod(shape)
    values = [digits(shift + scale * math.sqrt(3.0) * (sum(uniform() for _ in range(4)) - 2.0)) for _ in range(count)]
    return given(values).reshape(shape)


def given(values):
    """The `f32` nearest to each value, as float64."""
    return torch.tensor(values, dtype=torch.float32).double()


class Table:
    """Lines of `field value value ...` under lines of `case kind name`."""

    def __init__(self):
        self.lines = []

    def case(self, kind, name):
        self.lines.append(["case", kind, str(name)])

    def inputs(self, **fields):
        """What the test reads as `f32`: the shortest digits that give it back."""
        for field, tensor in fields.items():
            self.lines.append([field, *map(shortest, tensor.detach().flatten().tolist())])

    def plain(self, **fields):
        """Labels, and parameters that are float64 in both."""
        for field, values in fields.items():
            values = values if isinstance(values, (list, tuple)) else [values]
            self.lines.append([field, *map(repr, values)])

    def facts(self, **fields):
        for field, tensor in fields.items():
            self.lines.append([field, *(repr(value).removesuffix(".0") for value in tensor.detach().flatten().tolist())])


def shortest(value):
    for precision in range(1, 10):
        text = f"{value:.{precision}g}"
        if given([float(text)]).item() == value:
            return text
    return repr(value)


def gradients(outputs, dy, *leaves):
    return torch.autograd.grad(outputs, leaves, dy)


def leaf(tensor):
    return tensor.clone().requires_grad_()


SPECIAL = [0.0, -0.0, 1e-40, -1e-40, 1e-20, -1e-20, 1e-5, -1e-5, math.inf, -math.inf]
KINKS = [1.0 - 2**-24, 1.0 + 2**-23, 3.0 - 2**-22, 3.0 + 2**-22]


def points():
    grid = [float(i) for i in range(-20, 21)] + [digits(i * 1.637) for i in range(-12, 13)]
    tails = [25.0, 40.0, 80.0, 87.3, 88.5, 100.0, 104.0, 1e4, 3e38]
    return given(SPECIAL + grid + [sign * x for x in KINKS + tails for sign in (1, -1)])


def functions(table):
    x = points()
    for name in ["exp", "exp2", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "sqrt", "rsqrt"]:
        table.case("function", name)
        table.inputs(x=x)
        table.facts(y=getattr(torch, name)(x))


def gelu(x):
    y = x * torch.erfc(x * -math.sqrt(0.5)) / 2
    return like(y, F.gelu(x), x)


def gelu_tanh(x):
    y = x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))
    return like(y, F.gelu(x, approximate="tanh"), x)


def like(fact, pytorch, x):
    apart = (fact - pytorch).abs() > 4 * torch.finfo().eps * (1 + x.abs())
    assert not apart.any(), (x[apart], fact[apart], pytorch[apart])
    return fact


ACTIVATIONS = {
    "relu": (F.relu, []),
    "leaky_relu": (F.leaky_relu, [0.01]),
    "elu": (F.elu, [1.0]),
    "elu_scaled": (F.elu, [1.7]),
    "selu": (F.selu, []),
    "sigmoid": (torch.sigmoid, []),
    "tanh": (torch.tanh, []),
    "softplus": (F.softplus, [1.0, 100.0]),
    "gelu": (gelu, []),
    "gelu_tanh": (gelu_tanh, []),
    "silu": (F.silu, []),
    "hard_sigmoid": (F.hardsigmoid, []),
    "hard_tanh": (F.hardtanh, []),
    "hard_swish": (F.hardswish, []),
}


# Those that the test reads; that of softplus is a threshold, see above.
PARAMETERS = ["leaky_relu", "elu", "elu_scaled"]


def activations(table):
    for name, (f, parameters) in ACTIVATIONS.items():
        x = leaf(points())
        dy = normals(len(x))
        y = f(x, *parameters)
        (dx,) = gradients(y, dy, x)
        if name == "hard_sigmoid":
            dx = dx / given([1 / 6]) / 6
        right = ~(y.isnan() | dx.isnan())
        table.case("activation", name)
        if name in PARAMETERS:
            table.plain(parameter=parameters)
        table.inputs(x=x[right], dy=dy[right])
        table.facts(y=y[right], dx=dx[right])


def prelu(table):
    for name, shape, channels in [("rows", (5, 7), 7), ("images", (2, 3, 3, 7), 3), ("shared", (53,), 1)]:
        x = normals(*shape)
        x.view(-1)[::9] = 0.0
        x, slopes, dy = leaf(x), leaf(normals(channels)), normals(*shape)
        y = F.prelu(x, slopes)
        dx, dslopes = gradients(y, dy, x, slopes)
        table.case("prelu", name)
        table.plain(shape=shape)
        table.inputs(x=x, slopes=slopes, dy=dy)
        table.facts(y=y, dx=dx, dslopes=dslopes)


def dense(table):
    m, k, n = 9, 13, 18
    x, weight, bias, dy = leaf(normals(m, k)), leaf(normals(k, n)), leaf(normals(n)), normals(m, n)
    y = torch.addmm(bias, x, weight)
    dx, dweight, dbias = gradients(y, dy, x, weight, bias)
    table.case("dense", "layer")
    table.plain(shape=(m, k, n))
    table.inputs(x=x, weight=weight, bias=bias, dy=dy)
    table.facts(y=y, dx=dx, dweight=dweight, dbias=dbias)


def scores(table):
    """Softmax, its logarithm and the classifiers' losses, of rows that differ in scale."""
    for classes, rows in [(2, 21), (10, 19), (17, 3), (1000, 1)]:
        z = leaf(torch.stack([normals(classes, scale=[1.0, 4.0, 20.0][i % 3]) for i in range(rows)]))
        # One label in three is the largest score.
        labels = [int(z[i].argmax()) if i % 3 == 0 else int(uniform() * classes) for i in range(rows)]
        smoothing, margin = 0.1, 0.7
        targets = normals(rows, classes).relu()
        targets = given([digits(t) for t in (targets / targets.sum(1, keepdim=True).clamp(min=0.1)).flatten().tolist()])
        targets = targets.reshape(rows, classes)
        table.case("scores", classes)
        table.plain(classes=classes, labels=labels, smoothing=smoothing, margin=margin)
        table.inputs(z=z, targets=targets)
        index = torch.tensor(labels)
        table.facts(
            softmax=F.softmax(z, 1), log_softmax=F.log_softmax(z, 1), correct=(z.argmax(1) == index).sum().double()
        )
        losses = {
            "labels": F.cross_entropy(z, index),
            "smoothed": F.cross_entropy(z, index, label_smoothing=smoothing),
            "probabilities": F.cross_entropy(z, targets),
            "hinge": F.multi_margin_loss(z, index, margin=margin) * classes,
        }
        for name, loss in losses.items():
            table.facts(**{f"{name}_loss": loss, f"{name}_dz": gradients(loss, None, z)[0]})


def squared_error(table):
    y, targets = leaf(normals(83, scale=3.0)), normals(83)
    loss = F.mse_loss(y, targets)
    table.case("squared_error", "mean")
    table.inputs(y=y, targets=targets)
    table.facts(loss=loss, dy=gradients(loss, None, y)[0])


def batch_norm(table):
    """Three batches in a row, through a layer with PyTorch's usual momentum and one with a cumulative average."""
    for name, shape in [("rows", (6, 19)), ("narrow", (37, 3)), ("images", (3, 3, 3, 5))]:
        channels = shape[1]
        kind = torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d
        layers = {"fixed": kind(channels, momentum=0.1), "cumulative": kind(channels, momentum=None)}
        gamma, beta = normals(channels), normals(channels)
        spread = (len(shape) - 2) * (1,)
        shift, scale = normals(channels, scale=10.0), normals(channels).abs() + 0.1
        table.case("batch_norm", name)
        table.plain(shape=shape, epsilon=layers["fixed"].eps, momentum=0.1)
        table.inputs(gamma=gamma, beta=beta)
        for layer in layers.values():
            with torch.no_grad():
                layer.weight.copy_(gamma)
                layer.bias.copy_(beta)
        for batch in range(3):
            x = normals(*shape) * scale.view(-1, *spread) + shift.view(-1, *spread)
            x = leaf(given([digits(v) for v in x.flatten().tolist()]).reshape(shape))
            y = layers["fixed"](x)
            assert torch.equal(y, layers["cumulative"](x))
            table.inputs(**{f"x{batch}": x})
            table.facts(**{f"y{batch}": y})
            for momentum, layer in layers.items():
                table.facts(
                    **{
                        f"{momentum}_mean{batch}": layer.running_mean,
                        f"{momentum}_variance{batch}": layer.running_var,
                    }
                )
        dy = normals(*shape)
        layer = layers["fixed"]
        dx, dgamma, dbeta = gradients(y, dy, x, layer.weight, layer.bias)
        table.inputs(dy=dy)
        table.facts(dx=dx, dgamma=dgamma, dbeta=dbeta)
        for momentum, layer in layers.items():
            y = layer.eval()(x)
            dx, dgamma, dbeta = gradients(y, dy, x, layer.weight, layer.bias)
            table.facts(**{f"{momentum}_evaluated": y, f"{momentum}_held_dx": dx})
            table.facts(**{f"{momentum}_held_dgamma": dgamma, f"{momentum}_held_dbeta": dbeta})


def layer_norm(table):
    for rows, features in [(7, 5), (3, 16), (2, 101)]:
        x = leaf(torch.stack([normals(features, scale=1 + i, shift=[0, 10, -3][i % 3]) for i in range(rows)]))
        gamma, beta, dy = leaf(normals(features)), leaf(normals(features)), normals(rows, features)
        epsilon = 1e-5
        y = F.layer_norm(x, (features,), gamma, beta, epsilon)
        _, mean, inv_std = torch.native_layer_norm(x, (features,), gamma, beta, epsilon)
        dx, dgamma, dbeta = gradients(y, dy, x, gamma, beta)
        table.case("layer_norm", features)
        table.plain(epsilon=epsilon)
        table.inputs(x=x, gamma=gamma, beta=beta, dy=dy)
        table.facts(y=y, mean=mean, inv_std=inv_std, dx=dx, dgamma=dgamma, dbeta=dbeta)


def clip(table):
    """The norm of two tensors' gradients together, one slice to the kernel."""
    for name, max_norm in [("longer", 1.5), ("shorter", 1e3)]:
        parameters = [leaf(torch.zeros(31)), leaf(torch.zeros(4, 5))]
        for parameter in parameters:
            parameter.grad = normals(*parameter.shape, scale=7.0)
        table.case("clip", name)
        table.plain(max_norm=max_norm, added=1e-6)
        table.inputs(gradient=torch.cat([p.grad.flatten() for p in parameters]))
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        table.facts(norm=norm, clipped=torch.cat([p.grad.flatten() for p in parameters]))


OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {"betas": (0.9, 0.999), "eps": 1e-8}),
    "adam_w": (torch.optim.AdamW, {"betas": (0.9, 0.999), "eps": 1e-8}),
    "rms_prop": (torch.optim.RMSprop, {"alpha": 0.99, "eps": 1e-8}),
    "adagrad": (torch.optim.Adagrad, {"eps": 1e-10}),
    # Where epsilon stands, and what divides it, shows when it is large.
    "adam_epsilon": (torch.optim.Adam, {"betas": (0.8, 0.95), "eps": 0.3}),
    "adam_w_epsilon": (torch.optim.AdamW, {"betas": (0.8, 0.95), "eps": 0.3}),
    "rms_prop_epsilon": (torch.optim.RMSprop, {"alpha": 0.9, "eps": 0.3}),
    "adagrad_epsilon": (torch.optim.Adagrad, {"eps": 0.3}),
}
SLOTS = ["momentum_buffer", "exp_avg", "square_avg", "sum"], ["exp_avg_sq"]


def optimizers(table):
    """Four steps with the same rates, weights decaying, and what is then in each slot."""
    rate, decay, steps = 0.05, 0.03, 4
    start, slopes = normals(37), normals(steps, 37)
    for name, (kind, options) in OPTIMIZERS.items():
        w = leaf(start)
        rule = kind([w], lr=rate, weight_decay=decay, **options)
        for slope in slopes:
            w.grad = slope.clone()
            rule.step()
        table.case("optimizer", name)
        table.plain(rate=rate, decay=decay)
        if "betas" in options:
            table.plain(betas=options["betas"])
        elif "momentum" in options or "alpha" in options:
            table.plain(kept=options.get("momentum", options.get("alpha")))
        if "eps" in options:
            table.plain(epsilon=options["eps"])
        table.inputs(w=start, g=slopes)
        table.facts(stepped=w)
        for field, names in zip(["first", "second"], SLOTS):
            for slot in names:
                if isinstance(rule.state[w].get(slot), torch.Tensor):
                    table.facts(**{field: rule.state[w][slot]})


def make():
    table = Table()
    functions(table)
    activations(table)
    prelu(table)
    dense(table)
    scores(table)
    squared_error(table)
    batch_norm(table)
    layer_norm(table)
    clip(table)
    optimizers(table)
    return table.lines


def compare(made, committed):
    """Nothing but the last digits may differ: those of another version's, or another CPU's, float64."""
    assert [line[0] for line in made] == [line[0] for line in committed], "the table has other fields"
    worst, field = 0.0, ""
    for i, (ours, theirs) in enumerate(zip(made, committed)):
        where = f"line {i + 1} of the table, {ours[0]}"
        assert len(ours) == len(theirs), f"{where}: {len(theirs)} values, not {len(ours)}"
        if ours[0] == "case":
            assert ours == theirs, f"{where}: {theirs} is not {ours}"
            continue
        pairs = [(float(a), float(b)) for a, b in zip(ours[1:], theirs[1:])]
        largest = max([abs(a) for a, _ in pairs if math.isfinite(a)], default=0.0)
        for a, b in pairs:
            if a == b or (math.isnan(a) and math.isnan(b)):
                continue
            # Relative to itself, or where terms cancel to the largest beside it.
            error = abs(a - b) / (1e-11 * abs(a) + 1e-14 * largest)
            if not error <= worst:
                worst, field = error, where
            assert error <= 1, f"{where}: {b!r} is not {a!r}"
    return f"{len(made)} lines agree, the worst to {worst:.2g} of what is allowed ({field})"


def main():
    made = make()
    if sys.argv[1:2] == ["--check"]:
        with open(sys.argv[2], encoding="utf-8") as file:
            committed = [line.split() for line in file if not line.startswith("#")]
        print(f"PyTorch {torch.__version__}:", compare(made, committed))
    else:
        print(f"# PyTorch {torch.__version__.partition('+')[0]}, float64. Made by facts.py, which says what stands here.")
        for line in made:
            print(*line)


if __name__ == "__main__":
    main()
