//! The pages of the documentation: each is a chapter of the book, shows the files that it says, and
//! has no example that nothing executes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Before a block of code: the file that it shows.
const SHOWN: &str = "<!-- file: ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages below `docs`, as paths from there.
fn pages() -> BTreeSet<String> {
    let in_folder = |folder: &str| {
        let entries = fs::read_dir(root().join("docs").join(folder)).expect("the folder exists");
        let names = entries.map(|entry| entry.expect("the folder is readable").file_name());
        let names = names.map(|name| name.into_string().expect("a name in UTF-8"));
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        names.filter(|name| name.ends_with(".md")).map(move |name| format!("{prefix}{name}")).collect::<Vec<_>>()
    };
    ["", "decisions", "languages", "reference"]
        .into_iter()
        .flat_map(in_folder)
        .filter(|name| name != "SUMMARY.md")
        .collect()
}

/// The paths of the links of a page.
fn links(page: &str) -> Vec<&str> {
    page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link).collect()
}

/// The line of a list that leads to a page.
fn line_of(page: &str) -> String {
    let text = read(&format!("docs/{page}"));
    let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default();
    format!("- [{title}]({page})")
}

#[test]
fn every_page_is_a_chapter_of_the_book() {
    let summary = read("docs/SUMMARY.md");
    let chapters = links(&summary);
    let distinct: BTreeSet<&str> = chapters.iter().copied().collect();
    assert_eq!(distinct.len(), chapters.len(), "a chapter stands twice in docs/SUMMARY.md");
    let missing = pages().into_iter().filter(|page| !distinct.contains(page.as_str()));
    let lines: Vec<String> = missing.map(|page| line_of(&page)).collect();
    assert!(lines.is_empty(), "docs/SUMMARY.md lacks\n{}", lines.join("\n"));
    for chapter in chapters {
        assert!(root().join("docs").join(chapter).exists(), "docs/SUMMARY.md: there is no {chapter}");
    }
}

#[test]
fn every_decision_is_listed() {
    let listed = read("docs/decisions.md");
    let listed = links(&listed);
    let missing = pages().into_iter().filter(|page| page.starts_with("decisions/") && !listed.contains(&page.as_str()));
    let lines: Vec<String> = missing.map(|page| line_of(&page)).collect();
    assert!(lines.is_empty(), "docs/decisions.md lacks\n{}", lines.join("\n"));
}

/// The files that a page shows, each with what it shows of it.
fn shown(page: &str) -> Vec<(&str, String)> {
    let mut shown = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(path) = line.strip_prefix(SHOWN).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        assert!(lines.next().is_some_and(|line| line.starts_with("```")), "{path}: a block follows");
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        shown.push((path, block.join("\n") + "\n"));
    }
    shown
}

#[test]
fn pages_show_files_as_they_are() {
    let mut files = 0;
    for page in pages() {
        for (path, text) in shown(&read(&format!("docs/{page}"))) {
            assert!(text == read(path), "docs/{page} shows another text than {path}: copy the file into the page");
            files += 1;
        }
    }
    // A push and a worker in each of four languages, and a list of tasks in Rust.
    assert_eq!(files, 9);
}

#[test]
fn what_a_page_shows_is_found() {
    let page = "a\n<!-- file: x/y.py -->\n```python\nfirst\n\nlast\n```\nb\n";
    assert_eq!(shown(page), [("x/y.py", "first\n\nlast\n".to_owned())]);
}

/// The lines of the blocks of SQL without a reason why they are not executed.
fn unexplained(page: &str) -> Vec<usize> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let blocks = (0..lines.len()).filter(|&place| lines[place] == "```sql");
    let marked = |place: usize| place > 0 && lines[place - 1].starts_with("<!-- not executed: ");
    blocks.filter(|&place| !marked(place)).map(|place| place + 1).collect()
}

#[test]
fn every_example_is_executed_or_says_why_not() {
    let pages = pages().into_iter().map(|page| format!("docs/{page}")).chain(["README.md".to_owned()]);
    for page in pages {
        let text = read(&page);
        let words: Vec<&str> = text.split_whitespace().collect();
        if !words.join(" ").contains("executed by the tests, in this order, on one database") {
            assert_eq!(unexplained(&text), [0_usize; 0], "{page}: lines of blocks");
        }
    }
}

#[test]
fn a_block_without_a_reason_is_found() {
    let page = "```sql\nselect 1\n```\n<!-- not executed: no server -->\n```sql\nselect 2\n```\n\n  ```sql\n";
    assert_eq!(unexplained(page), [1, 9]);
}
