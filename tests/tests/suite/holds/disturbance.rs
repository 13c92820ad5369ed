//! Disturbances of a row that the leader is about to write.

use pgasync_pg::Session;
use pgasync_tests::Database;

/// A way to refuse a write of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// A client has selected the row for update.
    Held,
    /// A client has inserted a child row, whose foreign key holds the row for key share. This
    /// delays no write.
    Referenced,
    /// As `Referenced`, in a database with triggers on the table that raise nothing.
    ReferencedBesideTriggers,
    /// A row trigger raises on the row.
    Raising,
    /// A constraint trigger that is initially deferred raises on the row at commit.
    RaisingAtCommit,
}

impl Disturbance {
    pub(super) const ALL: [Self; 5] =
        [Self::Held, Self::Referenced, Self::ReferencedBesideTriggers, Self::Raising, Self::RaisingAtCommit];

    /// Whether the row is written while the disturbance lasts.
    pub(super) fn lets_write(self) -> bool {
        matches!(self, Self::Referenced | Self::ReferencedBesideTriggers)
    }

    /// The statements that prepare a database, run before an engine leads it.
    pub(super) fn install(self) -> String {
        let trigger = match self {
            Self::Held | Self::Referenced => "",
            Self::Raising | Self::ReferencedBesideTriggers => {
                "create trigger raises before update on async.task for each row execute procedure holds.raise();"
            }
            Self::RaisingAtCommit => {
                "create constraint trigger raises_at_commit after update on async.task deferrable initially deferred
                 for each row execute procedure holds.raise();"
            }
        };
        format!("{TABLES}{trigger}")
    }

    /// Begins the disturbance of a row. It lasts until [`Disturbed::end`].
    pub(super) async fn begin(self, database: &Database, id: i64) -> Disturbed {
        let client = database.connect().await;
        let sql = match self {
            Self::Held => format!("begin; select from async.task where task_id = {id} for update"),
            Self::Referenced | Self::ReferencedBesideTriggers => {
                format!("begin; insert into holds.child values ({id})")
            }
            Self::Raising | Self::RaisingAtCommit => format!("insert into holds.disturbed values ({id})"),
        };
        client.batch_execute(&sql).await.expect("a client may disturb a row");
        Disturbed { client, kind: self }
    }
}

/// A disturbance that has begun.
pub(super) struct Disturbed {
    client: Session,
    kind: Disturbance,
}

impl Disturbed {
    /// Frees the row.
    pub(super) async fn end(self) {
        let sql = match self.kind {
            Disturbance::Held | Disturbance::Referenced | Disturbance::ReferencedBesideTriggers => "commit",
            Disturbance::Raising | Disturbance::RaisingAtCommit => "delete from holds.disturbed",
        };
        self.client.batch_execute(sql).await.expect("a client may end what it began");
    }
}

const TABLES: &str = r"
create schema holds;
create table holds.child (task_id bigint references async.task (task_id) on delete cascade);
create table holds.disturbed (task_id bigint);
create function holds.raise() returns trigger language plpgsql as $$
begin
  if exists (select from holds.disturbed d where d.task_id = new.task_id) then
    raise exception 'this row is disturbed';
  end if;
  return new;
end $$;
";
