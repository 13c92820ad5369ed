-- Purpose: locks offers of tasks that clients pull, except in_skip, and waits for the first until
--   in_until. The caller takes the tasks in the same transaction. Above READ COMMITTED it does not
--   wait, because later offers are not visible.
-- Returns: an event TAKE for each locked task that is still offered, in order; null when there is
--   none.
-- Raises: PA040 for a target that clients cannot pull from, PA041 for a limit below 1.
-- Locks: offers and tasks, until the end of the transaction. It skips those that other transactions
--   hold.
-- (Longer than a screen: one loop that waits and takes.)
create or replace function async.take_offers(
  in_target text, in_limit int, in_until timestamptz, in_skip bigint[]
)
returns async.event_t[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_pause_seconds_max constant float8 := 0.25;
  v_pause_seconds float8 := 0.01;
  v_limit int := coalesce(in_limit, 1);
  v_target async.target;
  v_offers bigint[];
  v_held bigint[];
  -- Offers whose tasks another transaction holds: skipped until all others were tried.
  v_skip bigint[] := in_skip;
  v_events async.event_t[];
begin
  if v_limit < 1 then
    raise exception 'cannot take % tasks', v_limit using errcode = 'PA041', hint = 'The limit must be at least 1.';
  end if;
  select t.* into v_target from async.target t where t.target = async.resolve_target(in_target);
  if v_target.target is null or v_target.retired or not v_target.asynchronous_finish then
    raise exception 'clients cannot pull tasks of the target %: %', coalesce(quote_literal(in_target), 'null'),
        case when v_target.target is null then 'there is none of that name'
          when v_target.retired then 'it is retired'
          else 'it does not finish asynchronously' end
      using errcode = 'PA040', hint = 'An administrator configures it with asynchronous_finish. Then push tasks without a query.';
  end if;
  perform async.wake_leader();
  loop
    v_offers := array(
      select o.task_id
      from async.offer o
      where o.target = v_target.target and o.task_id <> all (v_skip)
      order by o.priority, o.entered, o.task_id
      limit v_limit
      for update skip locked);
    v_held := array(
      select t.task_id from async.task t where t.task_id = any (v_offers) order by t.task_id
      for no key update skip locked);
    select array_agg(row(t.task_id, null, 'TAKE', n.now, null, null, null, null, o.timeout, null, null, null)::async.event_t
      order by t.priority, t.entered, t.task_id)
    into v_events
    from async.offer o
    join async.task t on t.task_id = o.task_id
    cross join (select clock_timestamp() as now offset 0) n
    cross join lateral async.step_task(t, 'TAKE', null, null, null, null, o.timeout, null, n.now) s
    where o.task_id = any (v_held) and s.rejected is null;
    -- Deletes offers of tasks that are no longer READY (finished or deleted by hand, overdue).
    delete from async.offer o
    where o.task_id = any (v_offers)
      and (o.task_id = any (v_held) or not exists (select from async.task t where t.task_id = o.task_id))
      and o.task_id <> all (array(select e.task_id from unnest(v_events) e));
    exit when v_events is not null
      or clock_timestamp() >= in_until
      or current_setting('transaction_isolation') not in ('read committed', 'read uncommitted');
    if v_offers <> '{}' then
      v_skip := v_skip || v_offers;
    else
      v_skip := in_skip;
      perform pg_sleep(least(v_pause_seconds, extract(epoch from in_until - clock_timestamp())::float8));
      v_pause_seconds := least(v_pause_seconds * 2, c_pause_seconds_max);
    end if;
  end loop;
  return v_events;
end
$function$;
