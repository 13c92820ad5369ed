-- Purpose: builds the statement that sets when the initially deferred constraints of async.task are
--   checked.
-- Returns: the statement; null when there is no such constraint.
-- Raises: nothing.
-- Locks: none.
create or replace function async.constraints_of_tasks(in_when text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select 'set constraints ' || string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ') || ' ' || in_when
    from pg_constraint c
    join pg_namespace n on n.oid = c.connamespace
    where c.conrelid = 'async.task'::regclass and c.condeferred
      and not exists (
        select from pg_constraint o
        where o.connamespace = c.connamespace and o.conname = c.conname and not o.condeferrable));
end
$function$;
