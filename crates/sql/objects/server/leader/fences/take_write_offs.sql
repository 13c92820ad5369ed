-- Purpose: treats sessions that an operator wrote off, or deleted from the registry, as gone.
-- Returns: the number of sessions.
-- Raises: nothing.
-- Locks: as async.forget_sessions.
create or replace function async.take_write_offs()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_off bigint[];
begin
  v_off := array(
    select f.session_id
    from pg_temp.leader_fence f
    left join async.session s on s.session_id = f.session_id
    where s.session_id is null or s.written_off);
  if v_off <> '{}' then
    perform async.take_resolved_receipts((
      select jsonb_agg(jsonb_build_object('task_id', r.task_id, 'run', r.run, 'outcome', 'lost', 'error', r.written_off))
      from async.open_receipts(v_off) r));
    perform async.forget_sessions(v_off);
  end if;
  return pg_catalog.cardinality(v_off);
end
$function$;
