-- Purpose: take offers of tasks that clients pull, waiting for the first. The caller then marks the tasks as taken,
--          in the same transaction. Above READ COMMITTED it looks once: it could not see what comes later.
-- Returns: the tasks that are still waiting, held, in order, with their deadlines.
-- Raises:  PA040 a target that clients cannot pull from, PA041 a limit below 1.
-- Locks:   offers and tasks that nobody else holds, until the end of the transaction. Skips those that are held.
create or replace function async.take_offers(in_target text, in_limit int, in_timeout interval)
returns table (out_task_id bigint, out_times_up timestamptz)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_wait_max constant interval := '1 minute';
  c_pause_seconds_max constant float8 := 0.25;
  v_pause_seconds float8 := 0.01;
  v_limit int := coalesce(in_limit, 1);
  v_until timestamptz := clock_timestamp() + least(coalesce(in_timeout, '30 seconds'), c_wait_max);
  v_target async.target;
  v_offers bigint[];
  v_held bigint[];
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
      using errcode = 'PA040', hint = 'Configure it with asynchronous_finish, and push tasks without a query.';
  end if;
  perform async.wake_leader();
  loop
    v_offers := array(
      select o.task_id
      from async.offer o
      where o.target = v_target.target
      order by o.priority, o.entered, o.task_id
      limit v_limit
      for update skip locked);
    v_held := array(
      select t.task_id from async.task t where t.task_id = any (v_offers) order by t.task_id for update skip locked);
    delete from async.offer o
    where o.task_id = any (v_offers) and not exists (select from async.task t where t.task_id = o.task_id);
    -- Offers of tasks that no longer wait (cancelled meanwhile) go too.
    return query
      with taken as (
        delete from async.offer o where o.task_id = any (v_held) returning o.task_id, o.timeout
      )
      select t.task_id, s.times_up
      from taken
      join async.task t on t.task_id = taken.task_id
      cross join async.step_task(t, 'TAKE', null, null, null, taken.timeout, clock_timestamp()) s
      where s.rejected is null
      order by t.priority, t.entered, t.task_id;
    exit when found
      or clock_timestamp() >= v_until
      or current_setting('transaction_isolation') not in ('read committed', 'read uncommitted');
    if v_held = '{}' then
      perform pg_sleep(least(v_pause_seconds, extract(epoch from v_until - clock_timestamp())::float8));
      v_pause_seconds := least(v_pause_seconds * 2, c_pause_seconds_max);
    end if;
  end loop;
end
$function$;
