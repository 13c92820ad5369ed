-- Purpose: takes over what the last leader left: claims that were not sent return to the queue at
--   once, launched tasks are orphans until their target is fenced, sessions of older epochs are to
--   be ended, and the pools are counted.
-- Returns: nothing.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.take_stock()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[];
  v_launched bool[];
begin
  insert into pg_temp.leader_fence (session_id, target, older)
  select s.session_id, s.target, true from async.session s;
  select array_agg(s.task_id), array_agg(s.launched) into v_ids, v_launched from async.lead_stock() s;
  insert into pg_temp.leader_orphan (task_id, run, target, pool, launched, recorded)
  select r.task_id, r.run, r.target, r.pool, s.launched, r.processed is not null
  from unnest(v_ids, v_launched) as s(task_id, launched)
  join async.lead_rows(v_ids) r on r.task_id = s.task_id
  -- YIELDED, pulled and offered tasks run no query.
  where r.processed is not null or r.consumed is not null and r.yielded is null and not r.client_pulled;
  perform async.resolve_orphans(clock_timestamp());
  perform async.rotate_marks();
  perform async.recount_pools();
end
$function$;
