//! The page: its head and foot, cards, tables, and text that is safe between tags.

use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// HTML in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    body: String,
    /// The title of the first part, which is the page's.
    title: Option<String>,
}

/// A colour and what it stands for.
pub(super) type Key = (super::canvas::Colour, String);

impl Page {
    /// Adds HTML as it is.
    pub(super) fn add(&mut self, html: &str) {
        self.body.push_str(html);
    }

    /// Begins a part, with a heading and a line in plain text below it.
    pub(super) fn part(&mut self, title: &str, lead: &str) {
        let level = if self.title.is_none() { 1 } else { 2 };
        let (escaped, lead) = (escape(title), escape(lead));
        self.add(&format!("<h{level} class=\"part\">{escaped}</h{level}>\n<p class=\"lead\">{lead}</p>\n"));
        self.title.get_or_insert_with(|| title.to_string());
    }

    /// Figures in large type: value and name.
    pub(super) fn figures(&mut self, figures: &[(String, String)]) {
        self.add("<section class=\"grid figures\">\n");
        for (value, name) in figures {
            let (value, name) = (escape(value), escape(name));
            self.add(&format!("<div class=\"card figure\"><b>{value}</b><span>{name}</span></div>\n"));
        }
        self.add("</section>\n");
    }

    /// Begins a grid of cards; `kind` is its class: `charts` or `tables`.
    pub(super) fn grid(&mut self, kind: &str) {
        self.add(&format!("<section class=\"grid {kind}\">\n"));
    }

    /// Ends a grid.
    pub(super) fn end_grid(&mut self) {
        self.add("</section>\n");
    }

    /// A picture in a card, with what its colours stand for and a note in plain text.
    pub(super) fn card(&mut self, title: &str, keys: &[Key], picture: Option<&str>, note: &str) {
        self.add(&format!("<figure class=\"card\">\n<header><h3>{}</h3>", escape(title)));
        self.keys(keys);
        self.add("</header>\n");
        self.add(picture.unwrap_or("<p class=\"note\">No value yet.</p>\n"));
        self.add(&format!("<figcaption class=\"note\">{}</figcaption>\n</figure>\n", escape(note)));
    }

    fn keys(&mut self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        self.add("<ul class=\"legend\">");
        for (colour, name) in keys {
            let (colour, name) = (super::canvas::hex(*colour), escape(name));
            self.add(&format!(
                "<li><svg class=\"key\" viewBox=\"0 0 16 4\" aria-hidden=\"true\"><rect width=\"16\" height=\"4\" rx=\"2\" \
                 fill=\"{colour}\"/></svg>{name}</li>"
            ));
        }
        self.add("</ul>");
    }

    /// Names and values in a card.
    pub(super) fn pairs(&mut self, title: &str, rows: &[(&str, String)]) {
        self.add(&format!("<div class=\"card\"><h3>{}</h3>\n<table class=\"pairs\">\n", escape(title)));
        for (name, value) in rows {
            let (name, value) = (escape(name), escape(value));
            self.add(&format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n"));
        }
        self.add("</table></div>\n");
    }

    /// A table of numbers that is shown on request.
    pub(super) fn folded_table(&mut self, title: &str, heads: &[&str], rows: &[Vec<String>]) {
        self.add(&format!("<details class=\"card\"><summary>{}</summary>\n", escape(title)));
        self.table("numbers", heads, rows);
        self.add("</details>\n");
    }

    /// A table that scrolls sideways where it is too wide. The cells are plain text.
    pub(super) fn table(&mut self, class: &str, heads: &[&str], rows: &[Vec<String>]) {
        self.add(&format!("<div class=\"scroll\"><table class=\"{class}\">\n<thead><tr>"));
        for head in heads {
            self.add(&format!("<th scope=\"col\">{}</th>", escape(head)));
        }
        self.add("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.add("<tr>");
            for cell in row {
                self.add(&format!("<td>{}</td>", escape(cell)));
            }
            self.add("</tr>\n");
        }
        self.add("</tbody></table></div>\n");
    }

    /// The whole file; `foot` is plain text.
    pub(super) fn finish(self, foot: &str) -> String {
        let title = escape(self.title.as_deref().unwrap_or("slicewise"));
        let mut html = String::with_capacity(self.body.len() + STYLE.len() + 1000);
        // Writing to a string cannot fail.
        let _ = write!(
            html,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}<footer>{}</footer>\n</main>\n</body>\n</html>\n",
            self.body,
            escape(foot)
        );
        html
    }
}

/// Text between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}
