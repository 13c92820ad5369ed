//! Pushes a task in a transaction of its own program. The server is that of `PG*`.
//!
//! The order and its task exist both, or neither of them.
//! `cargo run -p pgasync-store --example push_in_transaction -- ADDRESS`

#![expect(clippy::print_stdout, reason = "an example speaks to a person")]

use std::error::Error;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::push_json_in;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("an address is missing")?;
    let session = ConnectionSettings::from_env(None)?.connect().await?;
    session.batch_execute("begin").await?;
    let pushed = order(&session, &address).await;
    // The session is closed after an error, which rolls back.
    if pushed.is_ok() {
        session.batch_execute("commit").await?;
    }
    let (order, task) = pushed?;
    println!("order {order} is mailed by task {task}");
    Ok(())
}

async fn order(session: &Session, address: &str) -> Result<(i64, i64), Box<dyn Error>> {
    let insert = "insert into orders (address) values ($1) returning id";
    let order: i64 = session.query_one(insert, &[&address]).await?.get(0);
    let options = json!([{"target": "mail", "task_data": {"to": address, "order": order}, "timeout": "1 minute",
                          "unique_key": format!("order {order}")}]);
    let pushed = push_json_in(session, &options).await?;
    let task = pushed.first().and_then(|pushed| pushed.task).ok_or("a trigger removed the task")?.0;
    session.execute("update orders set task_id = $1 where id = $2", &[&task, &order]).await?;
    Ok((order, task))
}
