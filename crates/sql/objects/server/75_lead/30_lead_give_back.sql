-- Purpose: returns claims that were not launched, for a leader in another process.
-- Returns: one row a task: what apply_events says of it.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one. (No SET clause: triggers would inherit it.)
create or replace function async.lead_give_back(in_now timestamptz, in_ids bigint[], in_runs int[])
returns table (out_task_id bigint, out_outcome text, out_error text)
language plpgsql
as $function$
declare
  v_timeouts interval[];
begin
  select array_agg(coalesce(g.default_timeout, c.default_timeout) order by i.place) into v_timeouts
  from unnest(in_ids) with ordinality as i(task_id, place)
  cross join async.control c
  left join async.lead_rows(in_ids) r on r.task_id = i.task_id
  left join async.target g on g.target = r.target;
  return query
  select a.task_id, a.outcome, a.error
  from async.apply_events(in_now, in_ids, in_runs,
    array_fill('GIVE_BACK'::async.task_event_t, array[cardinality(in_ids)]), null, null, null, v_timeouts) a;
end
$function$;
