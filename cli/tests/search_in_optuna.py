"""A search's journal in Optuna: it is loaded, plotted and continued, and `slicewise search` reads it still.

    search_in_optuna.py PROGRAM WORK
"""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.visualization import matplotlib as plots

SEARCH = [
    "search", "--data", "spiral", "--norm", "none", "--hidden", "4..32", "--lr", "1e-3..100", "--dropout", "0..0.5",
    "--trials", "12,6", "--epochs", "4,8", "--halving", "2", "--json",
]


def search(program, journal):
    run = subprocess.run([program, *SEARCH, "--journal", journal], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return [json.loads(line) for line in run.stdout.splitlines()]


def load(journal):
    return optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(journal))))


def expect(what, actual, expected):
    if actual != expected:
        sys.exit(f"{what}: Optuna has {actual}, slicewise {expected}")


def compare(study, told):
    """Everything that was told of each trial."""
    trials = {trial.user_attrs["number"]: trial for trial in study.trials}
    expect("numbers", sorted(trials), sorted(told))
    for number, event in told.items():
        trial = trials[number]
        expect("state", trial.state.name.lower(), event["state"])
        expect("round", trial.user_attrs["round"], event["round"])
        expect("parameters", trial.params, {name: event[name] for name in ("lr", "reg", "hidden", "dropout")})
        expect("epochs", len(trial.intermediate_values), event["epochs"])
        expect("value", trial.values[0] if trial.values else None, event["val_acc"])
        if trial.values:
            expect("best epoch", max(trial.intermediate_values.values()), trial.values[0])
        if not isinstance(trial.params["hidden"], int) or not trial.distributions["lr"].log:
            sys.exit(f"trial {number}: the wrong distributions: {trial.distributions}")
        for name, value in trial.params.items():
            if not trial.distributions[name]._contains(trial.distributions[name].to_internal_repr(value)):
                sys.exit(f"trial {number}: {name} is outside its range")


def plot(study):
    names = ["lr", "reg", "hidden", "dropout"]
    plots.plot_contour(study, params=["lr", "hidden"])
    plots.plot_slice(study, params=names)
    plots.plot_parallel_coordinate(study, params=names)
    plots.plot_optimization_history(study)
    plots.plot_intermediate_values(study)
    plots.plot_timeline(study)


def main(program, work):
    journal = work / "journal.log"
    events = search(program, journal)
    told = {event["number"]: event for event in events if event["event"] == "trial"}
    done = events[-1]
    study = load(journal)
    compare(study, told)
    expect("direction", study.direction.name, "MAXIMIZE")
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    expect("best", max(trial.value for trial in complete), done["best"]["val_acc"])
    if not any(trial.state.name == "PRUNED" for trial in study.trials):
        sys.exit("no trial was stopped: this shows too little")
    plot(study)

    def objective(trial):
        lr = trial.suggest_float("lr", 1e-3, 100, log=True)
        trial.suggest_float("reg", 1e-6, 0.1, log=True)
        trial.suggest_float("dropout", 0, 0.5)
        trial.report(0.1, 1)
        # Better than anything: it must not become the search's best.
        return 2.0 if lr > 0 and trial.suggest_int("hidden", 4, 32, log=True) else 0.0

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study.optimize(objective, n_trials=5)
    expect("trials after Optuna went on", len(load(journal).trials), len(told) + 5)
    # All is done: nothing is run again, and the end is the same.
    again = search(program, journal)
    expect("trials run again", [event for event in again if event["event"] == "trial"], [])
    expect("the end", again[-1], done)
    # A search that was killed, that Optuna went on with, and that goes on after that.
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = work / "cut.log"
    cut.write_bytes(b"".join(lines[:60]) + lines[60][:10])
    search(program, cut)
    study = load(cut)
    compare(study, told)
    study.optimize(objective, n_trials=2)
    expect("the end of another one", search(program, cut)[-1], done)
    print(f"Optuna {optuna.__version__} loads, plots and continues a search of {len(told)} trials")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
