-- Purpose: builds the statement that defers the initially deferred constraints again after `set
--   constraints all immediate` has checked them. A constraint that shares its name with one that is
--   not deferrable cannot be named, and stays immediate until the transaction ends.
-- Returns: the statement; null when the database has no such constraint.
-- Raises: nothing.
-- Locks: none.
create or replace function async.defer_constraints()
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    select 'set constraints ' || string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ') || ' deferred'
    from pg_constraint c
    join pg_namespace n on n.oid = c.connamespace
    where c.condeferred
      and not exists (
        select from pg_constraint o
        where o.connamespace = c.connamespace and o.conname = c.conname and not o.condeferrable));
end
$function$;
