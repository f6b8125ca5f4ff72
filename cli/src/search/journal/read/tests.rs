use super::*;
use proptest::prelude::*;

const STUDY: &str = r#"{"op_code":0,"worker_id":"slicewise","study_name":"s","directions":[2]}
{"op_code":2,"worker_id":"slicewise","study_id":0,"user_attr":{"slicewise":{"strategy":"grid"}}}
"#;

fn parse(lines: &str) -> Contents {
    Contents::parse(format!("{STUDY}{lines}").as_bytes()).unwrap()
}

/// What Optuna writes for `study.add_trial`: everything in one line.
#[test]
fn a_trial_may_come_whole() {
    let contents = parse(
        r#"{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":null,"state":1,"value":0.5,"values":null,"distributions":{"lr":"{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.1, \"high\": 1.0, \"log\": true}}"},"params":{"lr":0.25},"user_attrs":{},"system_attrs":{},"intermediate_values":{"1":0.5,"0":0.25}}
"#,
    );
    let study = study(contents);
    assert_eq!((study.strategy.as_str(), study.ranges), ("grid", vec![("lr".into(), 0.1, 1.0, true)]));
    let trial = &study.trials[0];
    assert_eq!(
        (trial.state, trial.val_acc, trial.epochs, trial.round),
        (TrialState::Complete, Some(0.5), 2, 0)
    );
    assert_eq!(trial.parameters["lr"], 0.25);
}

#[test]
fn a_trial_that_was_cut_short_has_no_number() {
    let begun = r#"{"op_code":4,"worker_id":"slicewise","study_id":0,"datetime_start":null}
{"op_code":8,"worker_id":"slicewise","trial_id":0,"user_attr":{"number":3}}
"#;
    let contents = parse(begun);
    assert_eq!((contents.own().len(), contents.whole), (0, STUDY.len()));
    let marked = format!(
        "{begun}{}",
        r#"{"op_code":8,"worker_id":"slicewise","trial_id":0,"user_attr":{"epochs":0}}
"#
    );
    let contents = parse(&marked);
    assert_eq!((contents.own().len(), contents.whole), (1, STUDY.len() + marked.len()));
    // Not even a foreign line behind it makes it whole, but that line stays.
    let foreign = format!(
        "{begun}{}",
        r#"{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":null}
"#
    );
    let contents = parse(&foreign);
    assert_eq!((contents.own().len(), contents.whole, contents.created), (0, STUDY.len() + foreign.len(), 2));
}

#[test]
fn the_study_that_is_a_search_is_found_among_others() {
    let other = r#"{"op_code":0,"worker_id":"x","study_name":"other","directions":[1]}
{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":null}
"#;
    let lines = STUDY.replace("\"study_id\":0", "\"study_id\":1");
    let own = r#"{"op_code":4,"worker_id":"x","study_id":1,"datetime_start":null}
"#;
    let contents = Contents::parse(format!("{other}{lines}{own}").as_bytes()).unwrap();
    assert_eq!(
        (contents.name.as_str(), contents.study, contents.created, contents.trials.len()),
        ("s", 1, 2, 1)
    );
    let plain = Contents::parse(other.as_bytes()).unwrap();
    assert_eq!((plain.name.as_str(), plain.definition.is_none()), ("other", true));
    assert_eq!(study(plain).strategy, "optuna");
    let deleted = format!(
        "{other}{}",
        r#"{"op_code":1,"worker_id":"x","study_id":0}
"#
    );
    assert!(Contents::parse(deleted.as_bytes()).unwrap_err().starts_with("holds no study"));
    assert!(Contents::parse(b"").is_err());
}

/// A line's fields, some of them of the wrong kind.
fn lines() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("0".to_string()),
        Just("1".into()),
        Just("-1".into()),
        Just("18446744073709551615".into()),
        Just("0.5".into()),
        Just("NaN".into()),
        Just("-Infinity".into()),
        Just("null".into()),
        Just("[0]".into()),
        Just("[]".into()),
        Just("{\"slicewise\":{}}".into()),
        Just("{\"number\":1,\"epochs\":1}".into()),
        Just("{\"a\":\"b\",\"1\":1}".into()),
        Just("\"slicewise\"".into()),
        Just("\"{}\"".into()),
    ];
    let names = [
        "study_id",
        "trial_id",
        "worker_id",
        "study_name",
        "user_attr",
        "state",
        "values",
        "value",
        "step",
        "intermediate_value",
        "params",
        "distributions",
        "param_name",
        "param_value_internal",
        "distribution",
        "intermediate_values",
    ];
    let field = (proptest::sample::select(names.to_vec()), value);
    let line = (0..12u32, proptest::collection::vec(field, 0..6)).prop_map(|(op, fields)| {
        let fields: String = fields.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        format!("{{\"op_code\":{op}{fields}}}\n")
    });
    proptest::collection::vec(line, 0..20).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(bytes: Vec<u8>, lines in lines(), cut: proptest::sample::Index) {
        let _ = Contents::parse(&bytes);
        let whole = format!("{STUDY}{lines}");
        let contents = Contents::parse(whole.as_bytes()).unwrap_or_default();
        let _ = study(contents);
        if let Ok(contents) = Contents::parse(&whole.as_bytes()[..cut.index(whole.len())]) {
            // What is kept is read as the same again.
            let kept = Contents::parse(&whole.as_bytes()[..contents.whole]).unwrap();
            prop_assert_eq!(kept.own(), contents.own());
            prop_assert_eq!(kept.whole, contents.whole);
        }
    }
}
