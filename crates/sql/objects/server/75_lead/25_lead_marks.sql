-- Purpose: starts the launch marks anew, for a leader in another process: truncates them (unless a reader is in the
--   way), writes a sentinel of a new generation and the marks of the given tasks, all in one transaction.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: async.launch_mark exclusively, for a moment; gives up after 100 ms.
create or replace function async.lead_rotate_marks(in_ids bigint[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $function$
declare
  v_ids bigint[];
  v_runs bigint[];
  v_sessions bigint[];
begin
  select array_agg(r.task_id), array_agg(r.run), array_agg(coalesce(m.session_id, 0))
  into v_ids, v_runs, v_sessions
  from async.lead_rows(in_ids) r
  left join (
    -- A few tasks, many marks: the marks are read once.
    select k.task_id, k.run, max(k.session_id) as session_id
    from unnest(in_ids) as i(task_id)
    join async.launch_mark k on k.task_id = i.task_id
    group by k.task_id, k.run
  ) m on m.task_id = r.task_id and m.run = r.run;
  begin
    truncate async.launch_mark;
  exception when lock_not_available then
    null;
  end;
  update async.leader set generation = generation + 1;
  insert into async.launch_mark (task_id, run, session_id)
  select 0, l.generation, 0 from async.leader l
  union all
  select k.task_id, k.run, k.session_id from unnest(v_ids, v_runs, v_sessions) as k(task_id, run, session_id);
end
$function$;

-- Purpose: notes which claimed tasks are about to be sent, and on which session; hands out their texts. Committed
--   before anything is sent.
-- Returns: the texts of those that are on the run that is marked; null where somebody took the query away.
-- Raises: nothing.
-- Locks: none that anybody waits for.
create or replace function async.lead_mark(in_ids bigint[], in_runs int[], in_sessions bigint[])
returns table (task_id bigint, query text)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
#variable_conflict use_column
begin
  insert into async.launch_mark (task_id, run, session_id)
  select m.task_id, m.run, m.session_id from unnest(in_ids, in_runs, in_sessions) as m(task_id, run, session_id);
  return query
  select t.task_id, t.query
  from unnest(in_ids, in_runs) as m(task_id, run)
  join async.task t on t.task_id = m.task_id and t.run = m.run;
end
$function$;
