-- Purpose: whether users have row, statement or constraint triggers, or a deferrable unique
--   constraint, on async.task. Then a completion is written row by row and in two steps, and each
--   row is read back.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.has_user_triggers()
returns bool language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (
    select from pg_trigger t
    where t.tgrelid = 'async.task'::regclass and t.tgenabled <> 'D'
      and (not t.tgisinternal or t.tgfoid = 'unique_key_recheck()'::regprocedure));
end
$function$;
