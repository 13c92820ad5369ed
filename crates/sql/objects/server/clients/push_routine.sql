-- Purpose: registers a routine that the leader calls when it starts, or in every cycle. A second
--   registration changes nothing.
-- Returns: nothing.
-- Raises: PA090 without a type or a text.
-- Locks: the row of async.control, until the end of the transaction.
create or replace function async.push_routine(_routine_type async.routine_type_t, _routine text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
  if _routine_type is null or coalesce(async.routine_call(_routine), '') = '' then
    raise exception 'a routine needs its type and the text that follows CALL'
      using errcode = 'PA090', hint = 'select async.push_routine(''LOOP'', ''my_schema.my_procedure()'')';
  end if;
  update async.control c set
    startup_routines = c.startup_routines || case when _routine_type = 'STARTUP' then array[_routine] else '{}' end,
    loop_routines = c.loop_routines || case when _routine_type = 'LOOP' then array[_routine] else '{}' end
  where not exists (
    select
    from unnest(case _routine_type when 'STARTUP' then c.startup_routines else c.loop_routines end) as r(routine)
    where async.routine_call(r.routine) = async.routine_call(_routine));
end
$function$;
