//! The examples of a page of the documentation run in order on one database.

use pgasync_tests::Database;

/// Before a block: it is not executed.
const SKIPPED: &str = "<!-- not executed: ";

/// The blocks of a page that are executed, with their line numbers, and the reasons of the others.
fn blocks(page: &str) -> (Vec<(usize, String)>, Vec<&str>) {
    let (mut executed, mut reasons) = (Vec::new(), Vec::new());
    let mut before = "";
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "```sql" {
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
            match before.strip_prefix(SKIPPED) {
                Some(reason) => reasons.push(reason),
                None => executed.push((number + 1, block.join("\n"))),
            }
        }
        before = line;
    }
    (executed, reasons)
}

#[test]
fn blocks_of_sql_are_found_with_their_lines() {
    let page =
        "text\n```sql\nselect 1;\n```\n<!-- not executed: no server -->\n```sql\nselect 2\n```\n```sh\nls\n```\n";
    assert_eq!(blocks(page), (vec![(2, "select 1;".to_owned())], vec!["no server -->"]));
}

#[tokio::test]
async fn the_examples_of_schedules_run() {
    let database = Database::create().await;
    let (executed, reasons) = blocks(include_str!("../../../docs/schedules.md"));
    for (line, block) in &executed {
        let done = database.session().batch_execute(block).await;
        done.unwrap_or_else(|error| panic!("docs/schedules.md:{line}: {error}\n{block}"));
    }
    assert!(executed.len() >= 6 && reasons.len() == 1, "{} blocks, skipped: {reasons:?}", executed.len());
    database.assert_holds("select count(*) = 6 and bool_and(next_time > now()) from async.v_schedule").await;
}

#[tokio::test]
async fn the_examples_of_receipts_run() {
    let database = Database::create().await;
    let (executed, reasons) = blocks(include_str!("../../../docs/receipts.md"));
    for (line, block) in &executed {
        let done = database.session().batch_execute(block).await;
        done.unwrap_or_else(|error| panic!("docs/receipts.md:{line}: {error}\n{block}"));
    }
    assert!(executed.len() == 4 && reasons.is_empty(), "{} blocks, skipped: {reasons:?}", executed.len());
    database.assert_holds("select count(*) = 3 and bool_and(receipt) from async.task").await;
}
