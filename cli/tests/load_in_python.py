"""A model.safetensors in Python: `safetensors.numpy` reads it, a NumPy forward pass uses it.

    load_in_python.py PROGRAM DIGITS WORK

Trains PROGRAM on the digits of DIGITS, as a table in WORK, with several networks, and compares classes and
probabilities with `PROGRAM predict`.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

NETWORKS = {
    "relu": ["--hidden", "64,32"],
    "tanh": ["--hidden", "32", "--activation", "tanh", "--scale", "std", "--dropout", "0.1"],
    "elu": ["--hidden", "32", "--activation", "elu", "--center", "none"],
    "leaky": ["--hidden", "32", "--activation", "leaky-relu", "--norm", "none", "--lr", "0.01"],
    "sigmoid": ["--hidden", "32", "--activation", "sigmoid", "--optimizer", "adam"],
    "maxout": ["--hidden", "24", "--activation", "maxout", "--norm", "none", "--lr", "0.01"],
    "linear": ["--hidden", "none"],
}


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def forward(path, x):
    """The probabilities of rows x, in float64 from the model's float32."""
    tensors = {name: value.astype(np.float64) for name, value in load_file(path).items()}
    with safe_open(path, framework="numpy") as file:
        model = json.loads(file.metadata()["slicewise"])
    x = (x - tensors["preprocess.mean"]) * tensors["preprocess.scale"]
    for i, layer in enumerate(model["layers"]):
        t = {name.rpartition(".")[2]: value for name, value in tensors.items() if name.startswith(f"layers.{i}.")}
        match layer["kind"]:
            case "dense":
                x = x @ t["weight"].T + t["bias"]
            case "batch-norm":
                x = (x - t["running_mean"]) / np.sqrt(t["running_var"] + layer["epsilon"]) * t["weight"] + t["bias"]
            case "relu":
                x = np.maximum(x, 0)
            case "leaky-relu":
                x = np.where(x > 0, x, layer["slope"] * x)
            case "elu":
                x = elu(x, layer["alpha"])
            case "sigmoid":
                x = 1 / (1 + np.exp(-x))
            case "tanh":
                x = np.tanh(x)
            case "maxout":
                x = x.reshape(len(x), layer["pieces"], -1).max(axis=1)
            case "identity" | "dropout":
                pass
            case kind:
                sys.exit(f"{path}: unknown layer {kind}")
    return [str(name) for name in model["classes"]], softmax(x)


def main(program, digits, work):
    pixels = np.frombuffer(gzip.open(digits / "digits-images-idx3-ubyte.gz").read()[16:], np.uint8).reshape(-1, 64)
    labels = np.frombuffer(gzip.open(digits / "digits-labels-idx1-ubyte.gz").read()[8:], np.uint8)
    table = work / "digits.csv"
    np.savetxt(table, np.column_stack([pixels, labels]), fmt="%d", delimiter=",")
    worst, right = 0.0, []
    for name, options in NETWORKS.items():
        run = work / name
        train = [program, "train", "--data", f"csv:{table}", "--epochs", "5", "--out", run, "--json", *options]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        predict = subprocess.run([program, "predict", run, "--json"], check=True, capture_output=True, text=True)
        rows = [json.loads(line) for line in predict.stdout.splitlines()]
        classes, expected = forward(run / "model.safetensors", pixels.astype(np.float64))
        probabilities = np.array([row["probabilities"] for row in rows])
        if probabilities.shape != expected.shape:
            sys.exit(f"{name}: {probabilities.shape} probabilities, {expected.shape} expected")
        difference = np.abs(probabilities - expected).max()
        if not difference < 1e-5:
            sys.exit(f"{name}: probabilities differ by {difference}")
        wrong = sum(row["class"] != classes[best] for row, best in zip(rows, expected.argmax(axis=1), strict=True))
        if wrong:
            sys.exit(f"{name}: {wrong} classes differ")
        worst = max(worst, difference)
        right.append(np.mean([int(row["class"]) == label for row, label in zip(rows, labels, strict=True)]))
    if min(right) < 0.8:
        sys.exit(f"a network learned too little to compare: {right}")
    print(f"{len(NETWORKS)} networks, {len(labels)} rows each: the same classes, probabilities within {worst:.1e}")


main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
