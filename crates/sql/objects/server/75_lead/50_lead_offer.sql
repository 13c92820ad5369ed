-- Purpose: offers tasks to the clients that pull them, for a leader in another process.
-- Returns: one row a task: what apply_events says of it.
-- Raises: nothing of a single task's.
-- Locks: the rows of async.task that it changes; never waits for one. (No SET clause: triggers would inherit it.)
create or replace function async.lead_offer(in_now timestamptz, in_ids bigint[])
returns table (out_task_id bigint, out_outcome text, out_error text)
language plpgsql
as $function$
begin
  for out_task_id, out_outcome, out_error in
    select a.task_id, a.outcome, a.error
    from async.apply_events(in_now, in_ids, null,
      array_fill('OFFER'::async.task_event_t, array[cardinality(in_ids)]), null, null, null, null) a
  loop
    if out_outcome = 'applied' then
      insert into async.offer (task_id, target, pool, priority, entered, timeout)
      select r.task_id, r.target, r.pool, r.priority, r.entered, coalesce(g.default_timeout, c.default_timeout)
      from async.lead_rows(array[out_task_id]) r
      cross join async.control c
      left join async.target g on g.target = r.target
      on conflict (task_id) do nothing;
    end if;
    return next;
  end loop;
end
$function$;
