"""A model.safetensors in Python: `safetensors.numpy` reads it, a NumPy forward pass uses it. And NumPy's .npz in slicewise.

    load_in_python.py PROGRAM DIGITS WORK

Trains PROGRAM on the digits of DIGITS, as a table in WORK, with several networks, and compares classes and
probabilities with `PROGRAM predict`. Then the same digits as NumPy's archives, stored and compressed, in several types: the
same figures must come out of them as out of the table.
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
    "pca": ["--hidden", "32", "--pca", "20", "--schedule", "cosine", "--warm-up", "1"],
    "whiten": ["--hidden", "32", "--pca", "30", "--whiten", "--schedule", "step"],
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
    if "preprocess.basis" in tensors:
        x = x @ tensors["preprocess.basis"].T
        x = x * tensors.get("preprocess.whiten", 1)
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
            case "sigmoid" | "sigmoid-fast":
                x = 1 / (1 + np.exp(-x))
            case "tanh" | "tanh-fast":
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
    archives = archived(program, table, pixels, labels, work)
    print(
        f"{len(NETWORKS)} networks, {len(labels)} rows each: the same classes, probabilities within {worst:.1e}; "
        f"{archives} archives, the same figures"
    )


def archived(program, table, pixels, labels, work):
    """NumPy's archives of the digits give the figures of the table."""

    def epochs(data, scale="1/16"):
        train = [program, "train", "--data", data, "--scale", scale, "--epochs", "2", "--json"]
        said = subprocess.run(train, check=True, capture_output=True, text=True).stdout
        events = [json.loads(line) for line in said.splitlines()]
        return [(event.get("train_loss"), event.get("val_loss"), event.get("test_loss")) for event in events[1:]]

    expected = epochs(f"csv:{table}")
    archives = {
        "float32": (pixels.astype(np.float32), labels.astype(np.int64)),
        "float64": (pixels.astype(np.float64), labels.astype(np.uint8)),
        "pictures": (pixels.astype(np.float32).reshape(-1, 8, 8), labels.astype(np.int32)[:, None]),
        "columns-first": (np.asfortranarray(pixels.astype(np.float32)), labels.astype(">i2")),
    }
    for name, (x, y) in archives.items():
        for save in (np.savez, np.savez_compressed):
            path = work / f"{name}.npz"
            save(path, x=x, y=y)
            if epochs(f"npz:{path}") != expected:
                sys.exit(f"{name}.npz by {save.__name__}: other figures than the table's")
    path = work / "split.npz"
    np.savez(path, x_train=pixels[:1500], y_train=labels[:1500], x_test=pixels[1500:], y_test=labels[1500:])
    if len(epochs(f"npz:{path}")) != 3:
        sys.exit("split.npz: not trained on")
    return 2 * len(archives) + 1


main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
