"""Training beside PyTorch, in turn on one core: images a second, and the test accuracy that both reach.

    pip install torch numpy
    cargo build --release
    taskset -c 1 python benches/peers/training.py DIR [--rounds 7] [--epochs 10] [--hidden 256,128]

DIR holds Fashion-MNIST's or MNIST's files (Debian: dataset-fashion-mnist, /usr/share/datasets/fashion-mnist).

The network is 784-256-128-10 with batch norm and ReLU, batches of 128, SGD with momentum 0.9 and learning rate 0.05, He
initialisation, the mean image subtracted, pixels over 255: the same 55,000 training rows for both. A round is one epoch of
each; PyTorch runs eagerly with its fused SGD, on rows that are gathered from one resident tensor, as ours are.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import time

import numpy as np
import torch

torch.set_num_threads(1)
BATCH, LR, MOMENTUM, HELD_OUT = 128, 0.05, 0.9, 5_000
PROGRAM = os.path.join(os.path.dirname(__file__), "../../target/release/slicewise")


def idx(directory, name):
    path = os.path.join(directory, name)
    with gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb") as file:
        data = file.read()
    dims = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(dims)


def load(directory):
    parts = []
    for part in ["train", "t10k"]:
        images = idx(directory, f"{part}-images-idx3-ubyte").reshape(-1, 784).astype(np.float32)
        labels = idx(directory, f"{part}-labels-idx1-ubyte").astype(np.int64)
        parts += [images, labels]
    train, labels, test, test_labels = parts
    train, labels = train[:-HELD_OUT], labels[:-HELD_OUT]
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
    ready = lambda x: torch.from_numpy((x - mean) / np.float32(255))
    return ready(train), torch.from_numpy(labels), ready(test), torch.from_numpy(test_labels)


class PyTorch:
    def __init__(self, seed, hidden, data):
        torch.manual_seed(seed)
        self.train, self.labels, self.test, self.test_labels = data
        layers, width = [], 784
        for units in hidden:
            layers += [torch.nn.Linear(width, units), torch.nn.BatchNorm1d(units), torch.nn.ReLU()]
            width = units
        layers.append(torch.nn.Linear(width, 10))
        for layer in layers:
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                torch.nn.init.zeros_(layer.bias)
        self.net = torch.nn.Sequential(*layers)
        self.loss = torch.nn.CrossEntropyLoss()
        self.rule = torch.optim.SGD(self.net.parameters(), lr=LR, momentum=MOMENTUM, fused=True)

    def epoch(self):
        """Images a second."""
        self.net.train()
        order = torch.randperm(len(self.train))
        begun = time.perf_counter()
        for rows in order.split(BATCH):
            self.rule.zero_grad(set_to_none=True)
            self.loss(self.net(self.train[rows]), self.labels[rows]).backward()
            self.rule.step()
        return len(self.train) / (time.perf_counter() - begun)

    def accuracy(self):
        self.net.eval()
        with torch.no_grad():
            return (self.net(self.test).argmax(1) == self.test_labels).float().mean().item()


def ours(arguments, epochs, seed):
    """The events of a run."""
    command = [PROGRAM, "train", "--data", f"idx:{arguments.directory}", "--hidden", arguments.hidden]
    command += ["--batch", str(BATCH), "--lr", str(LR), "--momentum", str(MOMENTUM), "--reg", "0", "--threads", "1"]
    command += ["--epochs", str(epochs), "--seed", str(seed), "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", default="256,128")
    arguments = parser.parse_args()
    data = load(arguments.directory)
    peer = PyTorch(1, [int(units) for units in arguments.hidden.split(",")], data)
    peer.epoch()
    speeds = []
    for _ in range(arguments.rounds):
        theirs = peer.epoch()
        epochs = [event for event in ours(arguments, 1, 1) if event["event"] == "epoch"]
        speeds.append((epochs[0]["samples_per_s"], theirs))
        print(f"slicewise {speeds[-1][0]:8,.0f} images/s   PyTorch {theirs:8,.0f}   ratio {speeds[-1][0] / theirs:.2f}")
    ratio = statistics.median(mine / theirs for mine, theirs in speeds)
    print(f"median ratio {ratio:.2f}")
    if arguments.epochs:
        print(f"test accuracy after {arguments.epochs} epochs:")
        for seed in [1, 2, 3]:
            done = ours(arguments, arguments.epochs, seed)[-1]
            peer = PyTorch(seed, [int(units) for units in arguments.hidden.split(",")], data)
            for _ in range(arguments.epochs):
                peer.epoch()
            allocations = done["heap_allocations_in_steps"]
            print(f"seed {seed}: slicewise {done['test_acc']:.4f} ({allocations} allocations in steps), PyTorch {peer.accuracy():.4f}")


if __name__ == "__main__":
    main()
