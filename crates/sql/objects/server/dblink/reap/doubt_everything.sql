-- Purpose: a whole cycle was undone: what any of its stages read from a session may be lost.
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.doubt_everything()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  update pg_temp.leader_slot s set doubt = true where s.state = 'running';
  begin
    perform async.doubt_answers('reap');
    perform async.doubt_answers('helpers');
  exception when assert_failure or others then
    null;
  end;
end
$function$;
