"""Batch norm, softmax and optimizers beside PyTorch and plain loops, in turn on one core: G elements a second.

    pip install torch numpy
    taskset -c 1 python benches/peers/kernels.py [--rounds 9] [NAME ...]

NAME picks rows by a part of their names. Batch norm has running statistics, and its backward pass all three gradients; the
optimizers are PyTorch's fused ones. Ours and the loops are `cargo bench -p slicewise-benches --bench kernels` compiled for this
CPU, run as a process between PyTorch's turns.
"""

import argparse
import os
import statistics
import subprocess
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch

import ours

torch.set_num_threads(1)
SLICE = 0.1
SHAPES = {"64x500": (64, 500), "256x1024": (256, 1024), "64x16x256": (64, 16, 16, 16)}
MILLION = 1 << 20


def batch_norm(shape):
    x, channels = torch.randn(shape), shape[1]
    gamma, beta, mean, variance = torch.ones(channels), torch.zeros(channels), torch.zeros(channels), torch.ones(channels)
    return lambda: torch.batch_norm(x, gamma, beta, mean, variance, True, 0.1, 1e-5, False)


def batch_norm_backward(shape):
    x, dy, channels = torch.randn(shape), torch.randn(shape), shape[1]
    gamma, beta, mean, variance = torch.ones(channels), torch.zeros(channels), torch.zeros(channels), torch.ones(channels)
    _, saved, inverse = torch.native_batch_norm(x, gamma, beta, mean, variance, True, 0.1, 1e-5)
    masks = [True, True, True]
    backward = torch.ops.aten.native_batch_norm_backward
    return lambda: backward(dy, x, gamma, mean, variance, saved, inverse, True, 1e-5, masks)


def softmax(classes):
    x = torch.randn(16384 // classes, classes)
    return lambda: torch.softmax(x, 1)


def optimizer(make):
    weights = torch.nn.Parameter(torch.randn(MILLION))
    weights.grad = torch.full((MILLION,), 1e-3)
    return make([weights]).step


def rows():
    """Name, elements, and what makes PyTorch's call."""
    for name, shape in SHAPES.items():
        n = torch.Size(shape).numel()
        yield f"batch norm {name}", n, lambda shape=shape: batch_norm(shape)
        yield f"batch norm backward {name}", n, lambda shape=shape: batch_norm_backward(shape)
    for classes in [10, 100, 1000]:
        yield f"softmax of {classes}", 16384 // classes * classes, lambda classes=classes: softmax(classes)
    sgd = lambda w: torch.optim.SGD(w, lr=0.01, momentum=0.9, fused=True)
    yield "momentum", MILLION, lambda: optimizer(sgd)
    yield "adam", MILLION, lambda: optimizer(lambda w: torch.optim.Adam(w, lr=0.01, fused=True))


def rate(call, elements):
    """G elements a second, in a slice of time."""
    calls, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SLICE:
        call()
        calls += 1
    return calls * elements / (time.perf_counter() - begun) / 1e9


def table(executable, wanted):
    """Our lines of that name: `{elements: {contestant: rate}}`."""
    command = [executable, "--table", "--exact", f"--most={MILLION}", wanted]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found = {}
    for line in lines:
        name, cells = line[:36].strip(), line[36:].strip().split("  ")
        if name == wanted and cells[0].isdigit():
            pairs = (cell.rsplit(" ", 1) for cell in cells[1:])
            found[int(cells[0])] = {contestant: float(figure) for contestant, figure in pairs}
    return found


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    mine = ours.executable("kernels", RUSTFLAGS="-C target-cpu=native")
    print("| kernel | elements | slicewise | loop | PyTorch | ratio to the best |")
    print("|---|" + "---:|" * 5)
    for name, elements, make in rows():
        if arguments.names and not any(part in name for part in arguments.names):
            continue
        call = make()
        rate(call, elements)
        rounds = [(table(mine, name)[elements], rate(call, elements)) for _ in range(arguments.rounds)]
        of = lambda contestant: statistics.median(own[contestant] for own, _ in rounds)
        ratio = statistics.median(own["slicewise"] / max(own["loop"], peer) for own, peer in rounds)
        peer = statistics.median(peer for _, peer in rounds)
        figures = f"{of('slicewise'):.2f} | {of('loop'):.2f} | {peer:.2f} | {ratio:.2f}"
        print(f"| {name} | {elements} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
