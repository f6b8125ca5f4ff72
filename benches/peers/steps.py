"""Training steps beside PyTorch and JAX, in turn on one core: samples a second.

    pip install torch numpy jax
    taskset -c 1 python benches/peers/steps.py [--rounds 9] [--without torch.compile,jax] [NAME ...]

NAME picks nets of `cargo bench -p slicewise-benches --bench training -- --table=steps` by a part of their names. A step is
forward, softmax cross-entropy, backward and SGD with momentum 0.9 on one resident batch; batch norm (with running
statistics) where the name says norm. PyTorch runs eagerly and compiled (which takes a C++ compiler), both with its fused SGD;
JAX's step is one jitted function that takes its state over. Ours runs as a process between the peers' turns.
"""

import argparse
import os
import statistics
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

import ours

torch.set_num_threads(1)
LR, MOMENTUM, SLICE = 0.01, 0.9, 0.3
NETS = {
    "3072-50-10 norm relu": ([3072, 50, 10], 100),
    "3072-50-10 relu": ([3072, 50, 10], 100),
    "784-100x3-10 norm sigmoid": ([784, 100, 100, 100, 10], 60),
    "3072-500x9-10 norm relu": ([3072] + 9 * [500] + [10], 64),
    "3072-500x9-10 norm tanh": ([3072] + 9 * [500] + [10], 64),
    "64-32-10 norm relu": ([64, 32, 10], 32),
    "784-256-128-10 norm relu": ([784, 256, 128, 10], 128),
    "64-32-10 relu": ([64, 32, 10], 32),
    "64-64-16 relu": ([64, 64, 16], 32),
    "8-8-2 relu": ([8, 8, 2], 32),
}


def batch_of(widths, batch):
    """The data that ours learns from."""
    i = np.arange(batch * widths[0], dtype=np.int64)
    inputs = (i * 7919 % 1000 / 500 - 1).astype(np.float32).reshape(batch, widths[0])
    return inputs, np.arange(batch) % widths[-1]


def torch_step(name, compiled):
    """A call that does a step, and one that waits for what was begun."""
    widths, batch = NETS[name]
    torch.manual_seed(1)
    layers = []
    for fan_in, fan_out in zip(widths, widths[1:-1]):
        layers.append(torch.nn.Linear(fan_in, fan_out))
        if "norm" in name:
            layers.append(torch.nn.BatchNorm1d(fan_out))
        layers.append({"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh}[name.split()[-1]]())
    layers.append(torch.nn.Linear(widths[-2], widths[-1]))
    net = torch.nn.Sequential(*layers)
    criterion = torch.nn.CrossEntropyLoss()
    loss = lambda x, y: criterion(net(x), y)
    if compiled:
        loss = torch.compile(loss)
    rule = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM, fused=True)
    inputs, labels = map(torch.from_numpy, batch_of(widths, batch))

    def step():
        rule.zero_grad(set_to_none=True)
        loss(inputs, labels).backward()
        rule.step()

    return step, lambda: None


def jax_step(name):
    """As `torch_step`."""
    import jax
    import jax.numpy as jnp

    widths, batch = NETS[name]
    function = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}[name.split()[-1]]
    random, hidden = np.random.default_rng(1), widths[1:-1]
    weights = [random.normal(0, (2 / i) ** 0.5, (i, o)).astype(np.float32) for i, o in zip(widths, widths[1:])]
    parameters = {"w": weights, "b": [np.zeros(o, np.float32) for o in widths[1:]]}
    running = []
    if "norm" in name:
        parameters["gamma"] = [np.ones(o, np.float32) for o in hidden]
        parameters["beta"] = [np.zeros(o, np.float32) for o in hidden]
        running = [(np.zeros(o, np.float32), np.ones(o, np.float32)) for o in hidden]
    inputs, labels = batch_of(widths, batch)

    def loss(p, running, x, y):
        now = []
        for i in range(len(hidden)):
            x = x @ p["w"][i] + p["b"][i]
            if running:
                mean, var = x.mean(0), x.var(0)
                now.append((0.9 * running[i][0] + 0.1 * mean, 0.9 * running[i][1] + 0.1 * var))
                x = (x - mean) * (jax.lax.rsqrt(var + 1e-5) * p["gamma"][i]) + p["beta"][i]
            x = function(x)
        logits = x @ p["w"][-1] + p["b"][-1]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean(), now

    def step(p, velocity, running, x, y):
        (value, running), gradient = jax.value_and_grad(loss, has_aux=True)(p, running, x, y)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradient)
        return jax.tree.map(lambda p, v: p - LR * v, p, velocity), velocity, running, value

    jitted = jax.jit(step, donate_argnums=(0, 1, 2))
    put = lambda tree: jax.tree.map(lambda a: jnp.array(a), tree)
    state = [put(parameters), put(jax.tree.map(np.zeros_like, parameters)), put(running)]
    x, y = put(inputs), put(labels.astype(np.int32))

    def call():
        state[:] = jitted(*state[:3], x, y)

    return call, lambda: jax.block_until_ready(state)


def rate(step, wait, batch):
    """Samples a second, in a slice of time."""
    calls, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SLICE:
        step()
        calls += 1
    wait()
    return calls * batch / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--without", default="", help="peers to leave out, with commas between")
    arguments = parser.parse_args()
    makers = {
        "PyTorch": lambda name: torch_step(name, False),
        "torch.compile": lambda name: torch_step(name, True),
        "jax": jax_step,
    }
    makers = {peer: make for peer, make in makers.items() if peer not in arguments.without.split(",")}
    mine = ours.executable()
    print(f"| net | batch | slicewise | limit | share | {' | '.join(makers)} | ratio to the best |")
    print("|---|" + "---:|" * (len(makers) + 5))
    for name, (_, batch) in NETS.items():
        if arguments.names and not any(part in name for part in arguments.names):
            continue
        peers = {peer: make(name) for peer, make in makers.items()}
        for step, wait in peers.values():
            # Compiles, and warms up.
            step(), rate(step, wait, batch)
        rounds = []
        for _ in range(arguments.rounds):
            turn = {peer: rate(step, wait, batch) for peer, (step, wait) in peers.items()}
            rounds.append((ours.table([mine, "--table=steps", name])[name], turn))
        theirs = {peer: statistics.median(turn[peer] for _, turn in rounds) for peer in makers}
        best = max(theirs, key=theirs.get)
        ratio = statistics.median(own[1] / turn[best] for own, turn in rounds)
        speed, limit, share = (statistics.median(own[i] for own, _ in rounds) for i in [1, 2, 3])
        cells = " | ".join(f"{theirs[peer]:,.0f}" for peer in makers)
        print(f"| {name} | {batch} | {speed:,.0f} | {limit:,.0f} | {share:.0f}% | {cells} | {ratio:.2f} {best} |", flush=True)


if __name__ == "__main__":
    main()
