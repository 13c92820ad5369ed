-- Purpose: writes a line to server_log and raises it to the caller at its level: NOTICE, WARNING,
--   INFO, DEBUG (written only while control.debug_log is set), ERROR. An error is written over a
--   separate connection, so that it survives the rollback of the caller, and then raised.
-- Returns: nothing.
-- Raises: PA070 for ERROR, PA071 for another level.
-- Locks: none that others wait for.
create or replace function async.log(_level text, _message text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_level text := upper(_level);
  v_message text := async.visible_text(coalesce(async.mask_text(_message), ''));
begin
  if v_level is null or v_level not in ('NOTICE', 'WARNING', 'INFO', 'DEBUG', 'ERROR') then
    raise exception 'there is no log level %', coalesce(quote_literal(_level), 'null')
      using errcode = 'PA071', hint = 'The levels are NOTICE, WARNING, INFO, DEBUG and ERROR.';
  end if;
  if v_level = 'ERROR' then
    begin
      perform public.dblink_exec(
        async.extend_conninfo(async.self_conninfo(), '{"connect_timeout": "2"}'),
        format('insert into async.server_log (level, message) values (''ERROR'', %L)', v_message));
    exception
      when others then
        raise warning 'the following error could not be logged: %', async.mask_text(sqlerrm);
    end;
    raise exception '%', v_message using errcode = 'PA070';
  end if;
  perform async.log_quiet(v_level, v_message);
  if v_level = 'WARNING' then
    raise warning '%', v_message;
  elsif v_level = 'INFO' then
    raise info '%', v_message;
  elsif v_level = 'DEBUG' then
    raise debug '%', v_message;
  else
    raise notice '%', v_message;
  end if;
end
$function$;

-- Purpose: async.log('NOTICE', _message).
-- Returns: nothing.
-- Raises: nothing.
-- Locks: none that others wait for.
create or replace function async.log(_message text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select async.log('NOTICE', _message)
$function$;
