//! Places between claim, mark, send, result and record where an engine can be held.
//!
//! The test replaces functions of the installed schema by functions that may wait and then call the
//! originals. The code of the project has no support for this. On the Rust engine, the leader
//! session is held in this way within a transaction.

use std::time::{Duration, Instant};

use pgasync_pg::{Error, Session};
use pgasync_tests::{Database, Engine, PATIENCE};
use tokio::time::sleep;

/// A place in the life of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// Claims are written, not committed.
    Claiming,
    /// Claims are committed, marks are not written.
    Claimed,
    /// Marks are written, not committed.
    Marking,
    /// Marks are committed, nothing is sent.
    Marked,
    /// Some queries are sent, others are not.
    Sending,
    /// All queries are sent.
    Sent,
    /// Results are read, not recorded.
    Ended,
    /// Results are recorded, not committed.
    Recording,
}

impl Point {
    pub(super) const ALL: [Self; 8] = [
        Self::Claiming,
        Self::Claimed,
        Self::Marking,
        Self::Marked,
        Self::Sending,
        Self::Sent,
        Self::Ended,
        Self::Recording,
    ];

    /// The points that the leader session of the Rust engine passes. It records and claims in one
    /// statement, and the other steps happen in the process.
    pub(super) const OF_STATEMENTS: [Self; 4] = [Self::Claimed, Self::Marking, Self::Ended, Self::Recording];

    /// The points that an engine passes.
    pub(super) const fn of<E: Engine>() -> &'static [Self] {
        if E::OUTLIVES_ITS_SESSION { &Self::OF_STATEMENTS } else { &Self::ALL }
    }

    /// The statements that install all points in a schema.
    pub(super) fn install() -> String {
        HOLD.to_owned() + &Self::wrap()
    }

    /// The statements that install all points again, after a new installation of the schema has
    /// replaced the functions.
    pub(super) fn install_again() -> String {
        "begin;
         do $$ declare
           v_function regprocedure;
         begin
           for v_function in
             select p.oid from pg_proc p where p.pronamespace = 'async'::regnamespace and p.proname like '%\\_original'
           loop
             execute 'drop function ' || v_function;
           end loop;
         end $$;"
            .to_owned()
            + &Self::wrap()
            + "commit;"
    }

    fn wrap() -> String {
        let mut sql = String::new();
        for (function, before, after) in [
            ("write_claims", None, Some(Self::Claiming)),
            ("mark_launches", Some(Self::Claimed), Some(Self::Marking)),
            ("send_launches", Some(Self::Marked), Some(Self::Sent)),
            ("classify_query", Some(Self::Sending), None),
            ("record_results", Some(Self::Ended), Some(Self::Recording)),
            ("lead_mark", Some(Self::Claimed), Some(Self::Marking)),
            ("write_all", Some(Self::Ended), Some(Self::Recording)),
        ] {
            let name = |point: Option<Self>| point.map_or_else(String::new, |point| format!("{point:?}"));
            sql += &format!("call chaos.wrap('{function}', '{}', '{}');\n", name(before), name(after));
        }
        sql
    }

    /// Stops the leader at this point, and waits until it has stopped.
    pub(super) async fn hold(self, database: &Database) {
        let is_reached = self.try_hold(database.session(), PATIENCE).await.expect("the server is up");
        assert!(is_reached, "{self:?} is never reached\n{}", database.dump().await);
    }

    /// Stops the leader at this point. Returns whether it has stopped within `patience`.
    pub(super) async fn try_hold(self, session: &Session, patience: Duration) -> Result<bool, Error> {
        let passed = "select last_value from chaos.reached";
        let before: i64 = session.query_one(passed, &[]).await?.get(0);
        session.batch_execute(&format!("insert into chaos.armed values ('{self:?}')")).await?;
        let begin = Instant::now();
        while session.query_one(passed, &[]).await?.get::<_, i64>(0) == before {
            if begin.elapsed() > patience {
                return Ok(false);
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(true)
    }

    /// The statement that releases the waiting session, and disarms all points.
    pub(super) const RELEASE: &'static str = "delete from chaos.armed";

    /// Releases the waiting session, and disarms the point.
    pub(super) async fn release(database: &Database) {
        database.run(Self::RELEASE).await;
    }
}

const HOLD: &str = r"
create schema chaos;
create table chaos.armed (point text);
-- A sequence, since others see at once that it moved.
create sequence chaos.reached;
select nextval('chaos.reached');

create function chaos.pass(in_point text) returns void language plpgsql as $$
begin
  if in_point = '' or not exists (select from chaos.armed a where a.point = in_point)
    or not exists (select from async.control c where c.pid = pg_backend_pid())
  then
    return;
  end if;
  -- Not at the first query that is sent, and not where there is nothing to record.
  if in_point = 'Sending' and random() < 0.7 then
    return;
  end if;
  if in_point = 'Ended' and to_regclass('pg_temp.leader_worker') is not null then
    if not exists (select from pg_temp.leader_worker s where s.state = 'ended') then
      return;
    end if;
  end if;
  perform nextval('chaos.reached');
  while exists (select from chaos.armed a where a.point = in_point) loop
    perform pg_sleep(0.01);
  end loop;
end
$$;

create procedure chaos.wrap(in_name text, in_before text, in_after text) language plpgsql as $$
declare
  v_function record;
begin
  select p.oid, p.pronargs, pg_get_function_arguments(p.oid) as arguments,
    pg_get_function_identity_arguments(p.oid) as identity, pg_get_function_result(p.oid) as result
  into strict v_function
  from pg_proc p where p.pronamespace = 'async'::regnamespace and p.proname = in_name;
  execute format('alter function async.%I(%s) rename to %I',
    in_name, v_function.identity, in_name || '_original');
  execute format(
    'create function async.%I(%s) returns %s language plpgsql as $w$ %s begin perform chaos.pass(%L); %s '
    'async.%I(%s); %s %s end $w$',
    in_name, v_function.arguments, v_function.result,
    case when v_function.result <> 'void' and v_function.result !~ '^TABLE'
      then 'declare v_result ' || v_function.result || ';' end,
    in_before,
    case when v_function.result = 'void' then 'perform' when v_function.result ~ '^TABLE' then 'return query select * from'
      else 'v_result :=' end,
    in_name || '_original',
    (select string_agg('$' || n, ', ' order by n) from generate_series(1, v_function.pronargs) n),
    case when in_name = 'record_results'
      then format('if v_result > 0 then perform chaos.pass(%L); end if;', in_after)
      else format('perform chaos.pass(%L);', in_after) end,
    case when v_function.result <> 'void' and v_function.result !~ '^TABLE' then 'return v_result;' end);
end
$$;
";
