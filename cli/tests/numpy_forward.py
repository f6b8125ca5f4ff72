"""A saved model in another library: safetensors opens it, and NumPy's forward pass predicts what `slicewise predict` does.

    python numpy_forward.py SLICEWISE FOLDER

Trains on a table that it writes into FOLDER. Run by .ci/python, which installs numpy and safetensors.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy
from safetensors import safe_open


def forward(tensors, layers, x):
    """The logits of rows `x`, in evaluation, from the file's names, shapes and description alone."""
    x = (x - tensors["preprocess.mean"]) * tensors["preprocess.scale"]
    for i, layer in enumerate(layers):
        of = lambda name: tensors[f"layers.{i}.{name}"]
        match layer["kind"]:
            case "dense":
                x = x @ of("weight").T + of("bias")
            case "batch-norm":
                x = (x - of("running_mean")) / numpy.sqrt(of("running_var") + layer["epsilon"])
                x = x * of("weight") + of("bias")
            case "relu":
                x = numpy.maximum(x, 0)
            case "tanh":
                x = numpy.tanh(x)
            case "dropout" | "identity":
                pass
            case kind:
                raise SystemExit(f"no forward pass here for {kind}")
    return x


def softmax(z):
    e = numpy.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def main():
    program, folder = sys.argv[1], Path(sys.argv[2])
    random = numpy.random.default_rng(1)
    features = random.normal(3.0, 2.0, (400, 7)).astype(numpy.float32)
    labels = (features @ random.normal(size=(7, 3))).argmax(axis=1)
    table = folder / "table.csv"
    with table.open("w") as file:
        for row, label in zip(features, labels):
            file.write(",".join(repr(float(x)) for x in row) + f",class-{label}\n")
    for activation in ["relu", "tanh"]:
        run = folder / activation
        command = [program, "train", "--data", f"csv:{table}", "--hidden", "24,16", "--activation", activation]
        subprocess.run([*command, "--dropout", "0.1", "--epochs", "15", "--out", run, "--json"], check=True, stdout=subprocess.DEVNULL)
        lines = subprocess.run(
            [program, "predict", run, "--data", f"csv:{table}", "--json"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.splitlines()
        said = [json.loads(line) for line in lines]
        said = {line["index"]: line for line in said if line["event"] == "predict"}
        with safe_open(run / "model.safetensors", "numpy") as file:
            tensors = {name: file.get_tensor(name).astype(numpy.float64) for name in file.keys()}
            description = json.loads(file.metadata()["slicewise"])
        probabilities = softmax(forward(tensors, description["layers"], features.astype(numpy.float64)))
        assert sorted(said) == list(range(400)), "one prediction a row"
        worst = 0.0
        for index, line in said.items():
            best = description["classes"][probabilities[index].argmax()]
            difference = abs(probabilities[index] - numpy.array(line["probabilities"])).max()
            worst = max(worst, difference)
            top = numpy.sort(probabilities[index])[-2:]
            assert line["class"] == best or top[1] - top[0] < 1e-5, f"row {index}: {line['class']}, NumPy says {best}"
        assert worst < 1e-5, f"probabilities differ by {worst}"
        right = numpy.mean([said[i]["class"] == f"class-{labels[i]}" for i in range(400)])
        assert right > 0.9, f"the network learned little: {right}"
        print(f"{activation}: 400 predictions agree to {worst:.1e}, {right:.3f} of them right")


main()
