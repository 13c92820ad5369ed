-- Purpose: runs the routines of users in the leader session. The error of a routine is logged (the
--   same error once a minute), and the next routine runs. Routines cannot commit.
-- Returns: the number of routines that succeeded.
-- Raises: nothing.
-- Locks: the locks of the routines.
create or replace function async.run_routines(_routine_type async.routine_type_t)
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_routine text;
  v_ran int := 0;
  v_message text;
  v_defer text;
begin
  foreach v_routine in array coalesce((
    select case _routine_type when 'STARTUP' then c.startup_routines else c.loop_routines end
    from async.control c), '{}')
  loop
    begin
      v_defer := coalesce(v_defer, async.defer_constraints(), '');
      perform async.call_routine('call ' || async.routine_call(v_routine), nullif(v_defer, ''));
      v_ran := v_ran + 1;
    exception when assert_failure or others then
      v_message := async.visible_text(async.mask_text(
        format('routine %s raised %s: %s', v_routine, sqlstate, sqlerrm)));
      perform from async.server_log l
      where l.happened > clock_timestamp() - interval '1 minute' and l.message = v_message;
      if not found then
        perform async.log_quiet('WARNING', v_message);
      end if;
    end;
  end loop;
  return v_ran;
end
$function$;
