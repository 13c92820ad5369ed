-- Purpose: runs in a helper's session, connected to a target: looks for living sessions that bear this server's id but
--   that its registry does not know. They belong to a physical copy of this server, or this is the copy: then
--   nothing is launched or ended there until somebody decides. One that has looked around, or not even
--   that, was opened by a leader that was lost before it could write it down: it ran nothing, and will not.
-- Returns: nothing.
-- Raises: PA210 when there are such sessions.
-- Locks: none.
create or replace function async.refuse_strangers(in_conn text)
returns void
language plpgsql
set search_path = pg_catalog, async, public, pg_temp
as $function$
declare
  v_strangers text;
begin
  select string_agg(s.pid::text, ', ' order by s.pid) into v_strangers
  from async.leader l
  cross join lateral dblink(in_conn, format(
    'select a.pid, a.backend_start, pg_catalog.split_part(a.application_name, ''/'', 3) '
    'from pg_catalog.pg_stat_activity a where a.application_name like %L '
    'and pg_catalog.split_part(a.application_name, ''/'', 4) ~ ''^\d+$'' '
    'and (a.state = ''active'' or a.state_change > pg_catalog.now() - interval ''30 seconds'') '
    'and not (a.state = ''idle'' and (a.query = '''' '
    'or a.query like ''%%/* pgasync: first look */%%''))',
    'pgasync/' || l.server_id || '/%')) as s(pid int, backend_start timestamptz, epoch text)
  where s.epoch <> l.epoch::text
    and not exists (select from async.session r where r.pid = s.pid and r.backend_start = s.backend_start);
  if v_strangers is not null then
    raise exception 'sessions of this server that it did not open run there (pids %): is this database a copy?',
      v_strangers
      using errcode = 'PA210',
        hint = 'On the copy: select async.adopt(), then start the orchestrator anew';
  end if;
end
$function$;
