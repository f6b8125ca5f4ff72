"""Our side of the comparisons: a benchmark as a process that peers run in turn with."""

import json
import os
import subprocess


def executable(bench="training", **environment):
    """The benchmark's path, built where it is not."""
    build = ["cargo", "bench", "-p", "slicewise-benches", "--bench", bench, "--no-run", "--message-format=json"]
    lines = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment).stdout.splitlines()
    messages = map(json.loads, lines)
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == bench)


def table(command):
    """The lines of figures that a command prints, by name: names are right-aligned in 26 columns."""
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    figures = lambda line: [float(cell.rstrip("%")) for cell in line[26:].split()]
    return {line[:26].strip(): figures(line) for line in lines if line.strip() and line[:26].strip() != "net"}
