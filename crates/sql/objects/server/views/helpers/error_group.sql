-- Purpose: the group of an error: its SQLSTATE, and its first line, in which # stands for each number.
--   Errors of one cause differ in ids and amounts. The planner inlines it.
-- Returns: one row. sqlstate is null when the error has none.
-- Raises: nothing.
-- Locks: none.
create or replace function async.error_group(in_error text)
returns table (sqlstate text, message text)
language sql immutable parallel safe
as $function$
  select
    pg_catalog.substring(in_error, '^([0-9A-Z]{5}): '),
    pg_catalog.regexp_replace(
      pg_catalog.regexp_replace(
        pg_catalog.split_part(pg_catalog.left(in_error, 300), pg_catalog.chr(10), 1), '^[0-9A-Z]{5}: ', ''),
      '[0-9]+', '#', 'g')
$function$;
