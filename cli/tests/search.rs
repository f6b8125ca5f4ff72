//! `slicewise search`, from outside: whoever runs a trial, wherever, whenever, it gives the same.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::std_instead_of_core, reason = "a test has std")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of what they share")]

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{argument, events, failure, only, slicewise};

/// A search of a second or less.
const SEARCH: [&str; 10] = [
    "search",
    "--data",
    "spiral",
    "--hidden",
    "4..32",
    "--trials",
    "10,5",
    "--epochs",
    "2,4",
    "--lr=1e-3..30",
];

fn search(more: &[&str]) -> Vec<Value> {
    events(&[&SEARCH[..], more].concat())
}

/// What a journal says but for when: each trial's lines, by the trial's number in the search, and what is said of the study.
///
/// Optuna's ids count trials in the order in which they ended.
fn said(path: &Path) -> BTreeMap<Option<u64>, Vec<Value>> {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: BTreeMap<u64, u64> = lines
        .iter()
        .filter_map(|line| Some((line["trial_id"].as_u64()?, line["user_attr"]["number"].as_u64()?)))
        .collect();
    let mut created = 0;
    let mut said: BTreeMap<Option<u64>, Vec<Value>> = BTreeMap::new();
    for mut line in lines {
        let id = if line["op_code"] == 4 { Some(created) } else { line["trial_id"].as_u64() };
        created += u64::from(line["op_code"] == 4);
        let fields = line.as_object_mut().unwrap();
        for field in ["trial_id", "datetime_start", "datetime_complete"] {
            fields.remove(field);
        }
        let number = id.map(|id| numbers[&id]);
        said.entry(number).or_default().push(line);
    }
    said
}

/// Trials by number, as they are printed.
fn trials(events: &[Value]) -> BTreeMap<u64, Value> {
    only(events, "trial")
        .into_iter()
        .map(|trial| (trial["number"].as_u64().unwrap(), trial.clone()))
        .collect()
}

#[test]
fn events_have_what_is_promised() {
    let directory = tempfile::tempdir().unwrap();
    let out = argument(&directory.path().join("out"));
    let events = search(&["--out", &out]);
    let trials = trials(&events);
    assert_eq!(trials.keys().copied().collect::<Vec<_>>(), (0..15).collect::<Vec<_>>());
    for (number, trial) in &trials {
        assert_eq!(trial["round"], if *number < 10 { 1 } else { 2 });
        let (lr, hidden) = (trial["lr"].as_f64().unwrap(), trial["hidden"].as_f64().unwrap());
        assert!(lr > 0.0 && hidden >= 1.0 && hidden.fract() == 0.0, "{trial}");
        let ended = trial["state"].as_str().unwrap();
        assert!(
            ended == "complete" && trial["epochs"] == if *number < 10 { 2 } else { 4 } || ended == "pruned"
        );
    }
    let rounds = only(&events, "round");
    assert_eq!(rounds.len(), 2);
    // The second round searches where the first one's ranges ended.
    assert_eq!(rounds[1]["searched"], rounds[0]["ranges"]);
    let done = only(&events, "done")[0];
    assert_eq!(events.last().unwrap(), done);
    let complete = || trials.values().filter(|trial| trial["state"] == "complete");
    let best = complete().map(|trial| trial["val_acc"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(done["best"]["val_acc"], best);

    // The command that is told does what the trial did.
    let command: Vec<&str> = done["command"].as_str().unwrap().split(' ').skip(1).collect();
    let trained = support::events(&command);
    assert_eq!(only(&trained, "done")[0]["test_acc"], done["test_acc"]);
    assert_eq!(only(&trained, "done")[0]["test_loss"], done["test_loss"]);
    let epochs = only(&trained, "epoch");
    let best = done["best_epoch"].as_u64().unwrap() as usize;
    assert_eq!(epochs[best - 1]["val_acc"], done["best"]["val_acc"]);
}

/// Learning rates up to 30 without batch norm: some trials diverge, and are stopped by the rule of 3 x the first loss.
#[test]
fn trials_that_diverge_are_stopped() {
    let line = [
        "--norm",
        "none",
        "--lr",
        "0.1..1000",
        "--trials",
        "12",
        "--rounds",
        "1",
        "--reg",
        "0",
        "--hidden",
        "8",
    ];
    let events = events(&[&SEARCH[..3], &line].concat());
    let trials = trials(&events);
    let stopped = trials.values().filter(|trial| trial["state"] == "pruned").count();
    assert!(stopped > 0 && stopped < 12, "{stopped}");
    let hopeless = ["--norm", "none", "--lr", "1e6..1e7", "--trials", "3", "--json"];
    let output = slicewise(&[&SEARCH[..3], &hopeless].concat()).output().unwrap();
    let message = support::told(&output, 1);
    assert!(
        message.ends_with("all 3 trials of round 1 diverged: look for smaller values of --lr"),
        "{message}"
    );
}

#[test]
fn the_best_at_an_edge_is_told_and_the_range_is_widened() {
    // Rates that are all too small: the best is the largest.
    let space = ["--lr", "1e-5..1e-3", "--reg", "0", "--hidden", "16", "--strategy", "grid"];
    let line = [&["search", "--trials", "5,2", "--epochs", "4,4"], &space[..]].concat();
    let events = events(&line);
    let round = only(&events, "round")[0];
    assert_eq!(round["best"]["lr"], 1e-3, "{round}");
    let warning = round["edge_warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("the best lr, 0.001, lies at the upper edge of its range, 0.001: "),
        "{warning}"
    );
    let high = round["ranges"]["lr"][1].as_f64().unwrap();
    // A quarter of two decades.
    assert!((high / 1e-3 - 10f64.powf(0.5)).abs() < 1e-9, "{high}");
    let widened = trials(&events)[&6]["lr"].as_f64().unwrap();
    assert_eq!(widened, high);
}

#[test]
fn threads_give_what_one_gives() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (case, more) in [
        ("random", &[][..]),
        ("grid", &["--strategy", "grid"]),
        ("halving", &["--halving", "2", "--epochs", "4"]),
        ("folds", &["--folds", "3", "--subset", "200"]),
        ("dropout", &["--dropout", "0..0.5", "--optimizer", "adam", "--lr=1e-4..0.1"]),
    ] {
        let mut one: Vec<&str> = SEARCH[..9].to_vec();
        if case == "halving" {
            one.truncate(7);
        }
        if case != "dropout" {
            one.push(SEARCH[9]);
        }
        one.extend(more);
        let journals = ["1", "2"].map(|threads| path(&format!("{case}-{threads}.log")));
        let printed = ["1", "2"].map(|threads| {
            let journal = argument(&journals[if threads == "1" { 0 } else { 1 }]);
            events(&[&one[..], &["--threads", threads, "--journal", &journal]].concat())
        });
        assert_eq!(trials(&printed[0]), trials(&printed[1]), "{case}");
        assert_eq!(only(&printed[0], "done"), only(&printed[1], "done"), "{case}");
        assert_eq!(said(&journals[0]), said(&journals[1]), "{case}");
    }
}

#[test]
fn shards_give_what_one_process_gives() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| argument(&directory.path().join(name));
    for (case, more) in [("random", &[][..]), ("halving", &["--halving", "2"])] {
        let (whole, first, second) =
            (path(&format!("{case}-whole")), path(&format!("{case}-0")), path(&format!("{case}-1")));
        let expected = search(&[more, &["--journal", &whole]].concat());
        let shard = |index: &str, own: &str, other: &str| {
            let line = ["--shard", index, "--journal", own, "--with", other];
            search(&[more, &line[..if Path::new(other).exists() { 6 } else { 4 }]].concat())
        };
        // In turn, each with what the other one has so far, until both are through.
        let mut told = Vec::new();
        let mut turns = 0;
        let done = loop {
            told.extend(shard("0/2", &first, &second));
            told.extend(shard("1/2", &second, &first));
            if only(&told, "done").len() >= 2 {
                break only(&told, "done")[0].clone();
            }
            assert!(!only(&told, "waiting").is_empty());
            turns += 1;
            assert!(turns < 8, "the shards wait for each other");
        };
        assert_eq!(&done, only(&expected, "done")[0], "{case}");
        assert_eq!(trials(&told), trials(&expected), "{case}");
        let mut both = said(Path::new(&first));
        let study = both.remove(&None).unwrap();
        assert_eq!(study[2]["user_attr"]["shard"], "0/2");
        for (number, lines) in said(Path::new(&second)) {
            if number.is_some() {
                assert!(both.insert(number, lines).is_none(), "{case}: both ran {number:?}");
            }
        }
        let mut all = said(Path::new(&whole));
        all.remove(&None);
        assert_eq!(both, all, "{case}");
        // Trials of one number went to one shard.
        let message = failure(&[&SEARCH[..], more, &["--journal", &first]].concat(), 2);
        assert!(message.contains("is the journal of shard 0/2, not of the whole search"), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_search_that_is_killed_ends_with_the_same_journal() {
    let directory = tempfile::tempdir().unwrap();
    for (case, more) in [("plain", &["--threads", "1"][..]), ("two", &["--halving", "2", "--threads", "2"])] {
        let path = |name: &str| directory.path().join(format!("{case}-{name}"));
        let run = |name: &str| {
            let mut line: Vec<String> = SEARCH.iter().chain(more).map(ToString::to_string).collect();
            // Long enough for kills to come in between.
            line[8] = "12,24".into();
            line.extend(["--journal".into(), argument(&path(name))]);
            line
        };
        let arguments = |line: &[String]| line.iter().map(String::clone).collect::<Vec<_>>();
        let begun = Instant::now();
        let whole = run("whole");
        events(&whole.iter().map(String::as_str).collect::<Vec<_>>());
        let time = begun.elapsed();
        let killed = arguments(&run("killed"));
        let killed: Vec<&str> = killed.iter().map(String::as_str).collect();
        let (mut kills, mut between) = (0, 0);
        for moment in 0..8u32 {
            let mut child = slicewise(&killed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(time.mul_f64(f64::from(1 + (moment * 7) % 5) / 12.0));
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                break;
            }
            kills += 1;
            let lines =
                fs::read(path("killed")).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count());
            between += u32::from(lines > 2);
        }
        assert!(
            kills >= 2 && between >= 1,
            "{case}: killed {kills} times, {between} of them with trials done"
        );
        events(&killed);
        assert_eq!(said(&path("killed")), said(&path("whole")), "{case}");
        if case == "plain" {
            // One trial after the other: the lines themselves, in their order, but for the times.
            let lines = |name: &str| {
                let text = fs::read_to_string(path(name)).unwrap();
                text.lines().map(without_times).collect::<Vec<_>>()
            };
            assert_eq!(lines("killed"), lines("whole"));
        }
    }
}

fn without_times(line: &str) -> Value {
    let mut line: Value = serde_json::from_str(line).unwrap();
    let fields = line.as_object_mut().unwrap();
    fields.remove("datetime_start");
    fields.remove("datetime_complete");
    line
}

/// A kill in the middle of a write, wherever: every place where a journal can be cut.
#[test]
fn a_journal_that_was_cut_anywhere_ends_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (whole, cut) = (directory.path().join("whole"), directory.path().join("cut"));
    let line =
        ["--trials", "3", "--rounds", "1", "--epochs", "2", "--threads", "1", "--lr=1e-3..1", "--journal"];
    let run = |path: &Path| events(&[&SEARCH[..3], &line, &[&argument(path)]].concat());
    run(&whole);
    let bytes = fs::read(&whole).unwrap();
    let head = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0 + 1;
    let mut places: Vec<usize> = (head..bytes.len()).step_by(97).collect();
    // And at the ends of lines.
    places.extend(
        bytes.iter().enumerate().filter(|(at, byte)| *at > head && **byte == b'\n').map(|(at, _)| at + 1),
    );
    for place in places {
        fs::write(&cut, &bytes[..place]).unwrap();
        run(&cut);
        assert_eq!(said(&cut), said(&whole), "cut at {place}");
    }
}

#[test]
fn nothing_is_run_twice_and_a_search_can_grow() {
    let directory = tempfile::tempdir().unwrap();
    let journal = argument(&directory.path().join("journal"));
    let first = search(&["--journal", &journal]);
    assert_eq!(trials(&first).len(), 15);
    let again = search(&["--journal", &journal]);
    assert_eq!(trials(&again).len(), 0);
    assert_eq!(only(&again, "done"), only(&first, "done"));
    let mut longer = SEARCH.to_vec();
    longer[6] = "10,8";
    let more = events(&[&longer[..], &["--journal", &journal]].concat());
    assert_eq!(trials(&more).keys().copied().collect::<Vec<_>>(), [15, 16, 17]);
    let message = failure(&[&SEARCH[..], &["--journal", &journal]].concat(), 2);
    assert!(message.contains("--trials is [10,8] there, not [10,5]; name another file"), "{message}");
}

#[test]
fn another_search_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let journal = argument(&path);
    search(&["--journal", &journal]);
    // Cut short as if killed: still untouched when it is not this search's.
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 10);
    fs::write(&path, &bytes).unwrap();
    for (more, expected) in [
        (&["--seed", "2"][..], "--seed is 1 there, not 2"),
        (&["--reg", "1e-3..1"], "--reg is "),
        (&["--strategy", "grid"], "--strategy is \"random\" there, not \"grid\""),
        (&["--folds", "3"], "--folds is null there, not 3"),
        (&["--data", "digits"], "its data is other data"),
    ] {
        let mut line: Vec<&str> = SEARCH.to_vec();
        if more[0] == "--data" {
            line.drain(1..3);
        }
        let message = failure(&[&line[..], more, &["--journal", &journal]].concat(), 2);
        assert!(message.contains(expected) && message.contains("journal: "), "{message}");
        assert!(fs::read(&path).unwrap() == bytes, "{more:?}");
    }
    fs::write(&path, "not a journal\n").unwrap();
    let message = failure(&[&SEARCH[..], &["--journal", &journal]].concat(), 2);
    assert!(message.ends_with("line 1 is no JSON object: delete it, and what follows"), "{message}");
    fs::write(&path, "{\"op_code\":0,\"study_name\":\"x\",\"directions\":[2],\"worker_id\":\"y\"}\n")
        .unwrap();
    let message = failure(&[&SEARCH[..], &["--journal", &journal]].concat(), 2);
    assert!(message.ends_with("is no search's journal: name another file"), "{message}");
}

/// Lines as Optuna writes them when it goes on with a study.
#[test]
fn other_programs_trials_are_kept_and_do_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("journal"), directory.path().join("other"));
    let journal = argument(&path);
    let mut short = SEARCH.to_vec();
    short[6] = "10,3";
    events(&[&short[..], &["--threads", "1", "--journal", &journal]].concat());
    let foreign = r#"{"op_code":4,"worker_id":"p-1","study_id":0,"datetime_start":"2026-01-01T00:00:00.000000+00:00"}
{"op_code":5,"worker_id":"p-1","trial_id":13,"param_name":"lr","param_value_internal":0.5,"distribution":"{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.001, \"high\": 30.0, \"log\": true}}"}
{"op_code":6,"worker_id":"p-1","trial_id":13,"state":1,"values":[NaN],"datetime_complete":"2026-01-01T00:00:01.000000+00:00"}
{"op_code":4,"worker_id":"p-1","study_id":0,"datetime_start":"2026-01-01T00:00:00.000000+00:00"}
"#;
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(foreign.as_bytes()).unwrap();
    let more = events(&[&SEARCH[..], &["--threads", "1", "--journal", &journal]].concat());
    assert_eq!(trials(&more).keys().copied().collect::<Vec<_>>(), [13, 14]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(foreign), "the other program's lines are kept");
    // The next trial's id is behind theirs.
    assert!(
        text.contains(r#"{"op_code":8,"trial_id":15,"user_attr":{"number":13},"worker_id":"slicewise"}"#),
        "{text}"
    );
    let undisturbed = events(&[&SEARCH[..], &["--journal", &argument(&other)]].concat());
    assert_eq!(only(&more, "done"), only(&undisturbed, "done"));
}

#[test]
fn what_cannot_be_searched_is_told() {
    for (line, expected) in [
        (
            &["--lr", "0.1", "--reg", "0"][..],
            "nothing varies: give --lr, --reg, --dropout or --hidden a range",
        ),
        (&["--lr", "1..0.1"], "1 is not below 0.1: write LO..HI, or one number"),
        (&["--trials", "5,3", "--rounds", "1"], "--trials names 2 rounds, --rounds 1"),
        (&["--subset", "100000"], "--subset 100000: there are 1197 training rows"),
        (&["--subset", "5", "--folds", "4"], "--folds 4: 5 training rows are too few"),
        (&["--shard", "2/2"], "write INDEX/COUNT"),
        (&["--batch", "1"], "batch norm needs --batch 2 or more"),
        (&["--with", "x"], "--shard"),
    ] {
        let message = failure(&[&["search"], line].concat(), 2);
        assert!(message.contains(expected), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_search_says_how_to_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let journal = argument(&directory.path().join("journal"));
    let line = ["search", "--trials", "10000", "--threads", "2", "--journal", &journal];
    let child = slicewise(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now();
    while fs::read(&journal).map_or(0, |bytes| bytes.len()) < 3000 {
        assert!(patience.elapsed() < Duration::from_secs(30), "no trial ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Nobody else may write to it meanwhile.
    let message = failure(&line, 2);
    assert!(message.contains("another process is searching with this journal"), "{message}");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let message = support::told(&child.wait_with_output().unwrap(), 1);
    assert!(
        message.ends_with(&format!("interrupted in round 1; the same command goes on with {journal}")),
        "{message}"
    );
}
