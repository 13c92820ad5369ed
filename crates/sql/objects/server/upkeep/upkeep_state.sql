-- Purpose: the state of the upkeep in this session, as the last step left it.
-- Returns: async.upkeep_t.
-- Raises: nothing.
-- Locks: none.
create or replace function async.upkeep_state()
returns async.upkeep_t
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_rows_at_first constant int := 500;
  v_state async.upkeep_t;
begin
  if coalesce(current_setting('pgasync.upkeep', true), '') <> '' then
    return current_setting('pgasync.upkeep')::async.upkeep_t;
  end if;
  v_state.rows := c_rows_at_first;
  v_state.young_rows := 0;
  v_state.writes := 0;
  v_state.small_writes := 0;
  v_state.vacuum_after := '-infinity';
  v_state.small_after := '-infinity';
  return v_state;
end
$function$;
