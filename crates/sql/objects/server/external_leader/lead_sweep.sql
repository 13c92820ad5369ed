-- Purpose: promotes deferred tasks whose time has come, and finds overdue tasks that run no query.
-- Returns: the lanes of the promoted tasks; the overdue tasks; when to sweep again (null: nothing
--   is to come; in_now: there was more than one step); the tasks that could not be written, with
--   the reasons; when to fire schedules next (async.next_firing). Tasks of in_skip, which are in
--   backoff, are skipped.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.lead_sweep(
  in_now timestamptz, in_limit int, in_skip bigint[],
  out out_pools text[], out out_targets text[], out out_pullable bool[], out out_overdue bigint[],
  out out_next timestamptz, out out_failed bigint[], out out_errors text[], out out_fires_at timestamptz
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_ids bigint[] := async.deferred_tasks(in_now, in_skip);
begin
  if v_ids is not null then
    select array_agg(w.task_id), array_agg(coalesce(w.error, 'another transaction holds the row'))
    into out_failed, out_errors
    from async.write_all(null, null, null, null, null, null, null, array(
        select row(i, null, 'PROMOTE', in_now, null, null, null, null, null, null, null, null)::async.event_t
          from unnest(v_ids) i),
      true) w
    where w.outcome in ('failed', 'locked');
    select array_agg(l.pool), array_agg(l.target), array_agg(l.client_pulled)
    into out_pools, out_targets, out_pullable
    from (select distinct r.pool, r.target, r.client_pulled from async.lead_rows(v_ids) r) l;
  end if;
  select d.out_overdue, d.out_next into out_overdue, out_next from async.overdue_tasks_without_query(in_now, in_limit) d;
  if cardinality(out_overdue) >= in_limit or cardinality(v_ids) >= 5000 then
    out_next := in_now;
  end if;
  out_fires_at := async.next_firing(in_now);
end
$function$;
