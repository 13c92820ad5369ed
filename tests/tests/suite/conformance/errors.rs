//! The list of errors in the documentation is complete.

use std::collections::BTreeSet;
use std::path::Path;

/// The SQLSTATEs of class PA in a text, each between two `quote` characters.
fn codes(text: &str, quote: char) -> BTreeSet<String> {
    text.split(quote).filter(|word| word.len() == 5 && word.starts_with("PA")).map(str::to_owned).collect()
}

#[test]
fn the_documented_errors_are_those_that_the_sources_raise() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let document = std::fs::read_to_string(document).expect("docs/errors.md");
    let documented: BTreeSet<_> =
        document.lines().filter(|line| line.starts_with("- ")).flat_map(|line| codes(line, '`')).collect();
    let mut raised = codes(&pgasync_sql::all(), '\'');
    // These codes are written into the error of a task rather than raised.
    raised.extend(
        pgasync_sql::all()
            .split('\'')
            .filter_map(|word| word.get(..6)?.strip_suffix(':'))
            .filter(|word| word.starts_with("PA2"))
            .map(str::to_owned),
    );
    assert_eq!(raised, documented);
}
