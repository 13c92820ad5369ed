-- Purpose: sessions that an operator wrote off, or took out of the registry by hand, count as gone.
-- Returns: how many.
-- Raises: nothing.
-- Locks: see async.forget_sessions.
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
    perform async.forget_sessions(v_off);
  end if;
  return pg_catalog.cardinality(v_off);
end
$function$;
