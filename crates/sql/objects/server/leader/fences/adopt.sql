-- Purpose: makes a physical copy of a server (a restored base backup, a promoted clone) a server of
--   its own. It gets a new id and deletes its registry of sessions, which belong to the original.
--   Tasks that were running when the copy was made fail here with an unknown outcome.
-- Returns: the new id.
-- Raises: PA211 while an orchestrator leads.
-- Locks: the row of async.leader, the rows of async.session and async.election.
create or replace function async.adopt()
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_id text;
begin
  if async.leader_pid() is not null then
    raise exception 'orchestrator pid % leads in this database', async.leader_pid()
      using errcode = 'PA211', hint = 'Stop it first: update async.control set enabled = false';
  end if;
  delete from async.session;
  delete from async.election;
  update async.leader l set server_id = left(md5(random()::text || clock_timestamp()::text), 12)
  returning l.server_id into v_id;
  return v_id;
end
$function$;
