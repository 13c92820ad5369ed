-- Purpose: the rows that a writer adds to its answer for the Rust engine where users have triggers:
--   the noted tasks as they are now, and the information that there are triggers. No rows in the
--   session of the SQL engine.
-- Returns: rows as those of async.write_events.
-- Raises: nothing.
-- Locks: none.
create or replace function async.changed_task_rows()
returns table (
  task_id bigint, run int, event text, outcome text, error text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status text, failed bool,
  processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, row_run int,
  attempt int, ended_by text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  v_ids bigint[];
begin
  if to_regclass('pg_temp.leader_state') is not null then
    return;
  end if;
  v_ids := async.take_changed_tasks();
  return query
    select i.task_id, null::int, null::text, 'touched'::text, null::text, r.consumed, r.processed, r.yielded,
      r.finish_status, r.failed, r.processing_error, r.times_up, r.tracked, r.eligible_when, r.run, r.attempt, r.ended_by
    from unnest(v_ids) as i(task_id)
    left join async.lead_rows(v_ids) r on r.task_id = i.task_id;
  outcome := 'triggers';
  return next;
end
$function$;
