//! Rules of the SQL side that the core does not have. Each is stated here as a table of questions
//! and answers.

mod sessions;
mod texts;
mod users;
mod writes;

use pgasync_tests::Database;

use super::prepared_database;

/// A question about a function: statements that run first, an expression, and its value as text.
/// `ERROR` and an SQLSTATE stand for an error. Each question runs in its own transaction, which is
/// rolled back.
struct Stated {
    before: &'static str,
    question: &'static str,
    answer: Option<&'static str>,
}

const fn stated(before: &'static str, question: &'static str, answer: &'static str) -> Stated {
    Stated { before, question, answer: Some(answer) }
}

/// A question whose answer is null.
const fn null(before: &'static str, question: &'static str) -> Stated {
    Stated { before, question, answer: None }
}

const ALL: [(&str, &[Stated]); 11] = [
    ("results", texts::RESULTS),
    ("retries", writes::RETRIES),
    ("sessions", sessions::SESSIONS),
    ("identities", sessions::IDENTITIES),
    ("wrapped", texts::WRAPPED),
    ("queries", texts::QUERIES),
    ("connections of dblink", sessions::DBLINK_CONNECTIONS),
    ("leadership", sessions::LEADERSHIP),
    ("triggers", users::TRIGGERS),
    ("routines", users::ROUTINES),
    ("plain writes", writes::PLAIN_WRITES),
];

/// The differences between the answers of SQL and the stated ones.
pub(super) async fn disagreements(database: &Database) -> Vec<String> {
    let mut differ = Vec::new();
    for (group, questions) in ALL {
        for stated in questions {
            let answer = stated.ask(database).await;
            if answer.as_deref() != stated.answer {
                let Stated { before, question, answer: expected } = stated;
                differ.push(format!("{group}: {before}\n  {question}\n  answers {answer:?}, expected {expected:?}"));
            }
        }
    }
    differ
}

impl Stated {
    async fn ask(&self, database: &Database) -> Option<String> {
        let session = database.session();
        let before = format!("begin; set local timezone = 'utc'; {}", self.before);
        let answer = match session.batch_execute(&before).await {
            Err(error) => Err(error),
            Ok(()) => session.query_one(&format!("select ({})::text", self.question), &[]).await,
        };
        let answer = match answer {
            Ok(row) => row.get(0),
            Err(error) => Some(format!("ERROR {}", error.sqlstate().unwrap_or("none"))),
        };
        database.run("rollback").await;
        answer
    }
}

#[tokio::test]
async fn the_rules_that_the_core_does_not_have_are_as_stated() {
    let differ = disagreements(&prepared_database().await).await;
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
