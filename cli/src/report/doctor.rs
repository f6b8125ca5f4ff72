//! The part of the page on the doctor's checks.

use super::page::{Page, escape};
use crate::error::Outcome;
use crate::events::{Check, Verdict};

/// The table of the checks, and what they have to show.
pub(super) fn draw(page: &mut Page, checks: &[Check]) -> Outcome<()> {
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let lead = match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => format!("{} checks, all passed", checks.len()),
        (failed, warned) => format!("{} checks: {failed} failed, {warned} with a warning", checks.len()),
    };
    page.part("The doctor's checks", &lead);
    table(page, checks);
    Ok(())
}

fn table(page: &mut Page, checks: &[Check]) {
    page.add("<div class=\"card\"><table class=\"checks\">\n<thead><tr>");
    for head in ["check", "verdict", "expected", "measured", "advice"] {
        page.add(&format!("<th scope=\"col\">{head}</th>"));
    }
    page.add("</tr></thead>\n<tbody>\n");
    for check in checks {
        let (class, word) = match check.verdict {
            Verdict::Pass => ("pass", "pass"),
            Verdict::Warn => ("warn", "warning"),
            Verdict::Fail => ("fail", "fail"),
        };
        page.add(&format!(
            "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{word}</span></td>\
             <td data-head=\"expected\">{}</td><td data-head=\"measured\">{}</td><td data-head=\"advice\">{}</td></tr>\n",
            escape(&check.name),
            escape(&check.expected),
            escape(&check.measured),
            escape(&check.advice),
        ));
    }
    page.add("</tbody></table></div>\n");
}
