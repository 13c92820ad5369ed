-- Purpose: get_tasks on a server. A task whose row cannot be written is left for others, and those behind it are taken.
-- Returns: the tasks that were taken and run now, in order.
-- Raises:  PA040 a target that clients cannot pull from, PA041 a limit below 1. A warning for each row that cannot be
--          written.
-- Locks:   the offers and rows it takes, until the end of the transaction. (No SET clause: users' triggers would inherit
--          it. Nothing in here depends on the caller's path.)
create or replace function async.pull_tasks(in_target text, in_limit int, in_timeout interval)
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql
as $function$
declare
  v_until constant timestamptz := async.pull_until(in_timeout);
  v_events async.event_t[];
  v_refused bigint[] := '{}';
  v_tasks bigint[];
begin
  loop
    v_events := async.take_offers(in_target, in_limit, v_until, v_refused);
    exit when v_events is null;
    v_tasks := async.write_pulls(v_events);
    v_refused := pg_catalog.array_cat(v_refused, v_tasks);
    if pg_catalog.cardinality(v_tasks) operator(pg_catalog.<) pg_catalog.cardinality(v_events) then
      return query
        select * from async.taken_tasks(v_events);
      exit;
    end if;
  end loop;
end
$function$;

-- Purpose: how long a call of get_tasks waits.
-- Returns: a time: in half a minute for null, and in a minute at most.
-- Raises:  nothing.
-- Locks:   none.
create or replace function async.pull_until(in_timeout interval)
returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return clock_timestamp() + least(coalesce(in_timeout, '30 seconds'), '1 minute');
end
$function$;

-- Purpose: the writer for get_tasks: one statement for all rows, and row by row where users have triggers or that
--   statement raises. Deferred constraints of async.task are checked here: at the client's commit they would fail the
--   call for all tasks, each time.
-- Returns: the tasks whose rows raised.
-- Raises: serialization failures and deadlocks, which are the caller's. A warning for each row that raised.
-- Locks: the rows of async.task; never waits for one. (No SET clause: the triggers would inherit it. Nothing in here
--   depends on the caller's path.)
create or replace function async.write_pulls(in_events async.event_t[])
returns bigint[]
language plpgsql
as $function$
declare
  v_check constant text := async.constraints_of_tasks('immediate');
  v_defer constant text := async.constraints_of_tasks('deferred');
  v_left async.event_t[] := in_events;
  v_event async.event_t;
  v_refused bigint[] := '{}';
begin
  if not async.has_user_triggers() then
    begin
      v_left := async.write_events_at_once(in_events);
    exception
      when serialization_failure or deadlock_detected then raise;
      when assert_failure or others then
        v_left := in_events;
    end;
  end if;
  foreach v_event in array v_left loop
    begin
      perform async.write_row(v_event, null);
      if v_check is not null then
        execute v_check;
        execute v_defer;
      end if;
    exception
      when serialization_failure or deadlock_detected then raise;
      when assert_failure or others then
        v_refused := pg_catalog.array_append(v_refused, v_event.task_id);
        raise warning 'the task % cannot be taken: %', v_event.task_id, sqlerrm;
    end;
  end loop;
  return v_refused;
end
$function$;

-- Purpose: sets when those constraints of async.task are checked that are checked at the end of the transaction.
-- Returns: a statement; null when there is no such constraint.
-- Raises: nothing.
-- Locks: none.
create or replace function async.constraints_of_tasks(in_when text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select 'set constraints ' || string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ') || ' ' || in_when
    from pg_constraint c
    join pg_namespace n on n.oid = c.connamespace
    where c.conrelid = 'async.task'::regclass and c.condeferred
      and not exists (
        select from pg_constraint o
        where o.connamespace = c.connamespace and o.conname = c.conname and not o.condeferrable));
end
$function$;

-- Purpose: the tasks of the given events that were taken.
-- Returns: those that run, in order.
-- Raises:  nothing.
-- Locks:   none.
create or replace function async.taken_tasks(in_events async.event_t[])
returns table (out_task_id bigint, out_priority int, out_times_up timestamptz, out_task_data jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
begin
  return query
    select t.task_id, t.priority, t.times_up, t.task_data
    from unnest(in_events) e
    join async.task t on t.task_id = e.task_id
    where t.consumed is not null and t.processed is null and t.yielded is null
    order by t.priority, t.entered, t.task_id;
end
$function$;
