use super::*;
use crate::metrics::tests::example;

fn page_of(log: &Log) -> Outcome<String> {
    html(&Material { run: Some(log.clone()), ..Material::default() })
}

/// Nothing is fetched: pictures are in the page.
fn is_self_contained(page: &str) {
    let page = page.replace("src=\"data:image/png;base64,", "").replace("href=\"#", "");
    for outside in ["href=", "src=", "url(", "@import", "<script", "http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn the_page_is_whole_and_needs_no_network() {
    for epochs in [0, 1, 2, 20, 1000] {
        let page = page_of(&example(epochs)).unwrap();
        is_self_contained(&page);
        assert_eq!(page.matches("role=\"img\"").count(), if epochs == 0 { 0 } else { 5 });
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }
}

#[test]
fn final_figures_are_named() {
    let log = example(20);
    let page = page_of(&log).unwrap();
    assert!(page.contains("<b>0.9800</b><span>test accuracy</span>"));
    assert!(page.contains(&format!("<td>{:.4}</td>", log.epochs[19].val_loss)));
    let mut running = log;
    running.done = None;
    assert!(page_of(&running).unwrap().contains("epoch 20 of 20"));
}

#[test]
fn text_from_files_is_escaped() {
    let mut log = example(1);
    log.start.data.name = "<script>alert('x')</script>&\"".into();
    let page = page_of(&log).unwrap();
    assert!(page.contains("Training on &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"));
    assert!(!page.contains("<script"));
}

#[test]
fn values_that_are_no_numbers_do_no_harm() {
    let mut log = example(5);
    log.epochs[2].val_loss = f64::NAN;
    log.epochs[3].val_loss = f64::INFINITY;
    log.epochs[1].update_ratio.clear();
    log.epochs[4].update_ratio[0].1 = 0.0;
    let page = page_of(&log).unwrap();
    assert_eq!(page.matches("role=\"img\"").count(), 5);
}
