-- Purpose: what the last leader left: claims that were never sent go back to the queue at once; launched ones wait as
--   orphans until their target is fenced; every session of an older epoch is to be ended; the pools are counted.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.take_stock()
returns void
language plpgsql
as $function$
declare
  v_marks_hold bool;
  v_back bigint[];
  v_timeouts interval[];
begin
  insert into pg_temp.leader_fence (session_id, target)
  select s.session_id, s.target from async.session s;
  select exists (
    select from async.launch_mark m where m.task_id = 0 and m.run = l.generation)
  into v_marks_hold from async.leader l;

  insert into pg_temp.leader_orphan (task_id, run, target, pool)
  select t.task_id, t.run, t.target, coalesce(t.concurrency_pool, t.target)
  from async.running_rows() t
  where not v_marks_hold
    or exists (select from async.launch_mark m where m.task_id = t.task_id and m.run = t.run);

  select array_agg(t.task_id), array_agg(coalesce(g.default_timeout, c.default_timeout))
  into v_back, v_timeouts
  from async.running_rows() t
  cross join async.control c
  left join async.target g on g.target = t.target
  where not exists (select from pg_temp.leader_orphan o where o.task_id = t.task_id);
  if v_back is not null then
    perform from async.apply_events(
      clock_timestamp(), v_back, null,
      array_fill('GIVE_BACK'::async.task_event_t, array[cardinality(v_back)]), null, null, null, v_timeouts);
    perform async.log_quiet('NOTICE',
      format('gave back %s tasks that a lost orchestrator had claimed but not sent', cardinality(v_back)));
  end if;
  perform async.rotate_marks();
  perform async.recount_pools();
end
$function$;

-- Purpose: tasks whose query was launched, or claimed to be, and has not ended, whoever leads.
-- Returns: the rows.
-- Raises: nothing.
-- Locks: none.
create or replace function async.running_rows()
returns setof async.task
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $function$
#variable_conflict use_column
begin
  return query
  select t.* from async.task t
  where t.times_up is not null and t.processed is null
    and t.yielded is null and t.consumed is not null and t.query is not null;
end
$function$;
