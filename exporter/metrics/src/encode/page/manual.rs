//! What people read at `/docs`: the runbooks and the dictionary of drop reasons, out of the binary, for hosts without a way to the Internet.

use super::STYLE;
use crate::findings::dictionary::{ENTRIES, Entry};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// The list of what there is.
pub fn contents(runbooks: impl Iterator<Item = &'static str>) -> String {
    document(
        "Documents",
        ".",
        &html! {
            h1 { "Documents of tcpvitals" }
            p { a href="./docs/reasons" { "What each drop reason means" } }
            h2 { "Runbooks" }
            ul { @for name in runbooks { li { a href=(format!("./docs/runbooks/{name}")) { (name) } } } }
        },
    )
}

/// The dictionary of drop reasons.
pub fn reasons() -> String {
    document(
        "Drop reasons",
        "..",
        &html! {
            h1 { "Drop reasons" }
            p { "What the kernel's reasons for a dropped packet mean. * stands for any text. What is not here is explained by its name." }
            div.scroll role="region" aria-label="Drop reasons" tabindex="0" {
                table.prose {
                    thead { tr { @for title in ["Reason", "Meaning", "Usual causes", "First"] { th.text scope="col" { (title) } } } }
                    tbody {
                        @for Entry { reason, meaning, causes, first } in ENTRIES {
                            tr id=(reason) {
                                th scope="row" { code { (reason) } }
                                td.text { (meaning) }
                                td.text { (causes) }
                                td.text { code { (first) } }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// A runbook, which is Markdown.
pub fn runbook(name: &str, markdown: &str) -> String {
    document(name, "../..", &html! { article { (PreEscaped(rendered(markdown))) } })
}

/// `root` is the way to the page of this host.
fn document(title: &str, root: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · tcpvitals" }
                link rel="icon" href=(super::ICON);
                style { (PreEscaped(STYLE.as_str())) }
            }
            body {
                main.manual {
                    nav aria-label="Other pages" { a href=(format!("{root}/")) { "This host" } " · " a href=(format!("{root}/docs")) { "Documents" } }
                    (body)
                }
            }
        }
    };
    page.into_string()
}

/// Markdown as HTML. Markup in it is text, and what a link leads to has to be here too; else it is no link.
fn rendered(markdown: &str) -> String {
    let mut linked = Vec::new();
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| {
        if let Event::Html(text) | Event::InlineHtml(text) = event {
            return Some(Event::Text(text));
        }
        if let Event::Start(Tag::Link { dest_url, .. }) = event {
            let here = own_page(&dest_url);
            linked.push(here.is_some());
            return here.map(|dest_url| {
                Event::Start(Tag::Link {
                    link_type: LinkType::Inline,
                    dest_url,
                    title: CowStr::Borrowed(""),
                    id: CowStr::Borrowed(""),
                })
            });
        }
        let leads_on = event != Event::End(TagEnd::Link) || linked.pop().unwrap_or(true);
        leads_on.then_some(event)
    });
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    html
}

/// Where a link leads, if that is another runbook.
fn own_page(link: &str) -> Option<CowStr<'static>> {
    let name = link.strip_suffix(".md")?;
    let is_runbook = name.bytes().all(|byte| byte.is_ascii_alphanumeric()) && name != "README";
    is_runbook.then(|| format!("./{name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_document_is_text_and_links_stay_here() {
        let html = rendered(
            "# A\n\n<script>alert(1)</script> and <b>bold</b>\n\n[one](TcpvitalsDown.md) [two](../numbers.md#x) [three](https://github.com/)\n",
        );
        assert!(html.contains("<h1>A</h1>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("<a href=\"./TcpvitalsDown\">one</a> two three"), "{html}");
    }

    #[test]
    fn every_reason_has_a_place_to_link_to() {
        let page = reasons();
        for Entry { reason, .. } in ENTRIES {
            assert!(page.contains(&format!("<tr id=\"{reason}\">")), "{reason}");
        }
    }
}
