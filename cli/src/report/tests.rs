use super::*;
use crate::metrics::tests::example;

#[test]
fn the_page_is_whole_and_needs_no_network() {
    for epochs in [0, 1, 2, 20, 1000] {
        let page = page(&example(epochs)).unwrap();
        for outside in ["href=", "src=", "url(", "@import", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(
            page.matches("http").count(),
            page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count()
        );
        assert_eq!(page.matches("role=\"img\"").count(), if epochs == 0 { 0 } else { 4 });
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }
}

#[test]
fn final_figures_are_named() {
    let log = example(20);
    let page = page(&log).unwrap();
    assert!(page.contains("<b>0.9800</b><span>test accuracy</span>"));
    assert!(page.contains(&format!("<td>{:.4}</td>", log.epochs[19].val_loss)));
    let mut running = log;
    running.done = None;
    assert!(super::page(&running).unwrap().contains("epoch 20 of 20"));
}

#[test]
fn text_from_files_is_escaped() {
    let mut log = example(1);
    log.start.data.name = "<script>alert('x')</script>&\"".into();
    let page = page(&log).unwrap();
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
    let page = page(&log).unwrap();
    assert_eq!(page.matches("role=\"img\"").count(), 4);
}

#[test]
fn numbers_read_well() {
    assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    assert_eq!([0.5, 12.34, 75.0, 3725.0].map(duration), ["0.50 s", "12.3 s", "1 min 15 s", "1 h 02 min"]);
    assert_eq!([999, 1500, 2_500_000, 3_000_000_000].map(bytes), ["999 bytes", "2 kB", "2.5 MB", "3.0 GB"]);
    let values = [0.0, 1234.0, 12.34, 1.234, 0.1234, 0.01234, 0.001234, 0.0001234];
    assert_eq!(values.map(short), ["0", "1234", "12.3", "1.23", "0.123", "0.012", "0.0012", "1.2·10⁻⁴"]);
}
