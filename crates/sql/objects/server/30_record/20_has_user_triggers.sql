-- Purpose: whether users hang row or statement triggers on async.task: then a completion is written row by row and
--   in two steps, and what became of each row is read back.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.has_user_triggers()
returns bool language plpgsql stable
as $function$
begin
  return (
    select exists (
      select from pg_trigger t
      where t.tgrelid = 'async.task'::regclass and not t.tgisinternal and t.tgenabled <> 'D'));
end
$function$;
