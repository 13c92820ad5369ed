-- Purpose: pushes a task, commits, waits for its end, and returns its rows. If the caller is canceled, the
--   task goes on. It runs as the caller.
-- Returns: in _result the rows as an array; null without keep_result.
-- Raises: as async.push, async.check_run and async.run_result.
-- Locks: as async.push. It waits for the task, in transactions of a second. (A procedure with a SET
--   clause cannot commit, so it sets the search_path in each transaction.)
create or replace procedure async.run(
  _query text,
  _target text,
  priority int default null,
  concurrency_pool text default null,
  timeout interval default null,
  task_data jsonb default null,
  track_yielded bool default null,
  source text default null,
  run_at timestamptz default null,
  expires_at timestamptz default null,
  unique_key text default null,
  unique_while text default null,
  on_conflict text default null,
  retry text default null,
  keep_result bool default true,
  receipt bool default null,
  inout _result jsonb default null)
language plpgsql security invoker
as $procedure$
declare
  v_task bigint;
  v_end async.task;
  v_refusal pg_catalog.text;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    commit;
  exception when invalid_transaction_termination then
    v_refusal := sqlerrm;
  end;
  perform async.check_run(v_refusal);
  v_task := async.push(_query, _target, priority, concurrency_pool, timeout, task_data, track_yielded, source, run_at,
    expires_at, unique_key, unique_while, on_conflict, retry, keep_result, receipt);
  commit;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  loop
    begin
      select t.* into v_end from async.wait_for(array[v_task], '1 second') t;
    exception when query_canceled then
      raise notice 'task % goes on: async.wait_for waits for its end, async.cancel ends it', v_task;
      raise;
    end;
    exit when v_end.task_id is not null;
    commit;
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  _result := async.run_result(v_end);
end
$procedure$;
