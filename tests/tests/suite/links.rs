//! The links between the pages of the documentation lead to files and headings that exist.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines of a page outside of its blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !fence && !in_code
    })
}

/// The anchors of the headings of a page, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    prose(page)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The links of a page to files of the project and to headings of its own.
fn links(page: &str) -> Vec<String> {
    let text = prose(page).collect::<Vec<_>>().join("\n");
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(link, _)| link.to_owned()).filter(|link| !link.contains("://")).collect()
}

/// What is wrong with a link of the page at `path`.
fn complaint(path: &Path, page: &str, link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = path.parent().expect("a page is in a folder").join(file);
    if !target.exists() {
        return Some(format!("{}: there is no file {link}", path.display()));
    }
    let headings = if file.is_empty() { page.to_owned() } else { fs::read_to_string(&target).unwrap_or_default() };
    let missing = !anchor.is_empty() && !anchors(&headings).iter().any(|known| known == anchor);
    missing.then(|| format!("{}: there is no heading {link}", path.display()))
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    ["", "docs", "docs/decisions", "docs/languages"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).expect("the folder exists"))
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn links_of_the_documentation_lead_to_files_and_headings() {
    let pages = pages();
    assert!(pages.len() > 15, "{pages:?}");
    let mut complaints = Vec::new();
    for path in &pages {
        let page = fs::read_to_string(path).expect("a page is readable");
        complaints.extend(links(&page).iter().filter_map(|link| complaint(path, &page, link)));
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = "# Some page\n\n[a](#some-page) [b](#other) [c](gone.md)\n```sh\n[d](gone.md)\n```\n[e](https://x.y)\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("page.md");
    let found: Vec<_> = links(page).iter().map(|link| complaint(&path, page, link).is_some()).collect();
    assert_eq!(found, [false, true, true]);
}
