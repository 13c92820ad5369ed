-- Purpose: inserts pushed tasks with these ids, without those whose unique key another task has. Tasks
--   with unique keys come first, in the order of their keys, so that two pushes never wait for each
--   other.
-- Returns: the number of inserted tasks.
-- Raises: PA011 to PA01B, PA082 (see async.prepare_push), PA01M.
-- Locks: the new keys; waits for transactions that push the same ones. (The search path is
--   control.trigger_search_path, which user triggers inherit: see async.bind_trigger_path. Every name
--   and operator is qualified.)
create or replace function async.insert_pushed(
  in_caller name,
  in_scope async.scope_t,
  in_ids bigint[],
  in_tasks async.task_push_t[],
  in_options async.push_options_t[]) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_rows int;
begin
  insert into async.task (task_id, target, priority, entered, source, query, asynchronous_finish, task_data,
      concurrency_pool, manual_timeout, track_yielded, pushed_by, may_reach_self, run_at, eligible_when, expires_at,
      times_up, unique_key, unique_while, retry, attempt, keep_result_for, receipt)
  select p.unnest, p.out_target, p.out_priority, p.out_entered, p.source, p.out_query, p.out_asynchronous_finish,
    p.out_task_data, p.out_concurrency_pool, p.out_manual_timeout, p.out_track_yielded, p.out_pushed_by,
    p.out_may_reach_self, p.run_at,
    case when p.run_at operator(pg_catalog.>) p.out_entered then p.run_at end,
    p.expires_at, p.expires_at, p.unique_key, p.unique_while,
    case when p.receipt then async.receipt_policy(p.out_retry) else p.out_retry end,
    case when p.out_retry is not null or p.receipt then 0 end,
    case when p.keep_result then in_caller::pg_catalog.text end,
    case when p.receipt then
      async.check_receipt_target(pg_catalog.format('task %s.', p.out_position), p.out_target) end
  from rows from (
      pg_catalog.unnest(in_ids),
      async.prepare_push(in_caller, in_scope, in_tasks, 'EXECUTE',
        array(select o.retry from pg_catalog.unnest(in_options) with ordinality as o order by o.ordinality)),
      pg_catalog.unnest(in_options)) as p
  order by case when p.unique_key is not null then p.out_target end collate pg_catalog."C",
    p.unique_key collate pg_catalog."C", p.out_position
  on conflict (target, unique_key)
    where unique_key is not null and processed is null
      and (unique_while operator(pg_catalog.=) 'unfinished' or run operator(pg_catalog.=) 0)
    do nothing;
  get diagnostics v_rows := row_count;
  return v_rows;
end
$function$;
