//! Reading pages: whether their elements close, their ids are unique, and where their links lead.

use std::collections::BTreeSet;

/// Elements without content.
const VOID: [&str; 6] = ["meta", "link", "input", "br", "hr", "html"];

/// A page that was read.
#[derive(Debug)]
pub(super) struct Html {
    /// Paths and query strings of links of this dashboard.
    pub(super) links: BTreeSet<String>,
    /// The text between the tags.
    pub(super) text: String,
}

/// Reads a page.
///
/// # Panics
/// When an element does not close, an id occurs twice, or something is inline that the policy of the
/// dashboard forbids.
#[track_caller]
pub(super) fn read(page: &str) -> Html {
    let mut html = Html { links: BTreeSet::new(), text: String::new() };
    let (mut open, mut ids) = (Vec::new(), BTreeSet::new());
    let mut rest = page;
    while let Some((text, after)) = rest.split_once('<') {
        html.text.push_str(&plain(text));
        // Attribute values have no `>`, since maud escapes it.
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            assert_eq!(last, Some(name), "an element closes that is not open: {open:?} in {page}");
            html.text.push(' ');
            continue;
        }
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        if name.starts_with('!') {
            continue;
        }
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "<{tag}> is no element");
        for (attribute, value) in attributes(&tag[name.len()..]) {
            assert!(attribute != "style" && !attribute.starts_with("on"), "<{tag}> is inline");
            match attribute {
                "id" => assert!(ids.insert(value.to_owned()), "two elements have the id {value}"),
                "href" if !value.starts_with('#') => drop(html.links.insert(plain(value))),
                "src" => assert!(value.contains("/assets/"), "<{tag}> is from elsewhere"),
                _ => {}
            }
        }
        if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "these do not close: {open:?}");
    html.text = html.text.split_whitespace().collect::<Vec<&str>>().join(" ");
    html
}

fn attributes(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let name = &rest[..end];
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || "-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".contains(c)),
            "{text}"
        );
        rest = &rest[end..];
        if let Some(value) = rest.strip_prefix("=\"") {
            let end = value.find('"').expect("a value ends");
            found.push((name, &value[..end]));
            rest = &value[end + 1..];
        } else {
            found.push((name, ""));
        }
        rest = rest.trim_start();
    }
    found
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
