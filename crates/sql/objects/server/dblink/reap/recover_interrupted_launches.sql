-- Purpose: finds out from the sessions which claimed tasks were sent before the interruption. The
--   others stay claimed.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none. It waits for async.task as long as another session locks the table: that lock may be the
--   reason of the interruption, and an error here would end main() and lose what it runs.
create or replace function async.recover_interrupted_launches()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = 0
as $function$
declare
  v_worker record;
  v_read record;
begin
  for v_worker in
    select s.worker, s.conn, case when t.keep_result_for is not null then 'kept' else 'raw' end as kind
    from pg_temp.leader_worker s
    left join async.task t on t.task_id = s.task_id
    where s.state = 'claimed'
    order by s.worker
  loop
    if public.dblink_is_busy(v_worker.conn) = 1 then
      update pg_temp.leader_worker s set state = 'running', sent = v_worker.kind, since = clock_timestamp()
      where s.worker = v_worker.worker;
      continue;
    end if;
    v_read := async.read_results(v_worker.conn);
    if v_read.code is not null or v_read.value is not null then
      update pg_temp.leader_worker s set state = 'running', sent = v_worker.kind, since = clock_timestamp()
      where s.worker = v_worker.worker;
    end if;
    if v_read.code is not null then
      perform async.note_query_error(v_worker.worker, v_read.code, v_read.error);
    end if;
  end loop;
end
$function$;
