-- Purpose: runs in a helper session that is connected to a target: looks for sessions of the same
--   role that have the id of this server and belong to none of its elections. Such sessions belong
--   to a physical copy of this server, or this server is the copy. Nothing is launched or ended at
--   the target while they exist.
-- Returns: nothing.
-- Raises: PA210 when there are such sessions.
-- Locks: none.
create or replace function async.refuse_unknown_sessions(in_conn text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_sessions_max constant int := 1000;
  v_answer jsonb;
  v_unknown text;
begin
  v_answer := async.query_target(in_conn, format(
    'select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(s.pid, s.election)), ''[]'') from ('
    'select a.pid, pg_catalog.split_part(a.application_name, ''/'', 3) as election '
    'from pg_catalog.pg_stat_activity a where a.application_name operator(pg_catalog.~~) %L '
    'and pg_catalog.split_part(a.application_name, ''/'', 4) operator(pg_catalog.~) ''^[0-9]+$'' '
    'and a.usename operator(pg_catalog.=) session_user limit %s) s',
    'pgasync/' || (select l.server_id from async.leader l) || '/%', c_sessions_max));
  select string_agg((s.found ->> 0)::int::text, ', ' order by (s.found ->> 0)::int) into v_unknown
  from jsonb_array_elements(v_answer) as s(found)
  where not exists (
    select from async.election e
    where e.epoch::text = split_part(s.found ->> 1, '.', 1) and e.nonce = split_part(s.found ->> 1, '.', 2));
  if v_unknown is not null then
    raise exception 'sessions of this server that it did not open run there (pids %): is this database a copy?',
      v_unknown
      using errcode = 'PA210',
        hint = 'On the copy: select async.adopt(), then start the orchestrator anew';
  end if;
end
$function$;
