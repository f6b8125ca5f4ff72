"""Single predictions beside RTNeural (compile-time models, Eigen), in turn on one core: nanoseconds of single calls.

    git clone https://github.com/jatinchowdhury18/RTNeural; apt-get install g++ libeigen3-dev
    taskset -c 1 python benches/peers/predictions.py RTNEURAL [--rounds 9]

Medians over the rounds. Each net ends in its logits, and once more in their softmax.
"""

import argparse
import os
import statistics
import subprocess
import tempfile

import ours

SOURCE = os.path.join(os.path.dirname(__file__), "rtneural.cpp")
FLAGS = ["-std=c++17", "-O3", "-march=native", "-DNDEBUG", "-DRTNEURAL_USE_EIGEN=1", "-DRTNEURAL_DEFAULT_ALIGNMENT=32"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rtneural", help="a checkout of RTNeural")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    mine = ours.executable()
    with tempfile.TemporaryDirectory() as directory:
        theirs = os.path.join(directory, "rtneural")
        includes = ["-I", arguments.rtneural, "-I", "/usr/include/eigen3"]
        subprocess.run(["g++", *FLAGS, *includes, SOURCE, "-o", theirs], check=True)
        names = [name for name in ours.table([theirs]) if "softmax" not in name and name != "nothing"]
        rounds = []
        for _ in range(arguments.rounds):
            slicewise = {}
            for name in names:
                slicewise |= ours.table([mine, "--table=single", name])
            rounds.append((slicewise, ours.table([theirs])))

    def medians(side, name):
        return [statistics.median(values) for values in zip(*(turn[side][name] for turn in rounds))]

    print(f"the clock itself: {medians(0, 'nothing')[0]:.0f} ns here, {medians(1, 'nothing')[0]:.0f} ns there\n")
    print("| net | slicewise p50 / p99.9, ns | p99.9/p50 | RTNeural | p99.9/p50 | p50 ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in names:
        both = medians(0, name)
        for end, mine in [("", both[:2]), (" softmax", both[2:])]:
            sides = [mine, medians(1, name + end)]
            cells = [f"{p50:.0f} / {rare:.0f} | {rare / p50:.2f}" for p50, rare in sides]
            print(f"| {name}{end} | {' | '.join(cells)} | {sides[1][0] / sides[0][0]:.2f} |")


if __name__ == "__main__":
    main()
