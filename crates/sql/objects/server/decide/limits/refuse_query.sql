-- Purpose: the reason why a leader does not launch the query of a row, by its length. A push refuses
--   such a query, so only an update can make one.
-- Returns: the error of the task; null when the query may be launched.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refuse_query(in_bytes int)
returns text language sql immutable as $function$
  select case
    when in_bytes is null then 'the query of the task is gone'
    when in_bytes > async.query_bytes_max() then pg_catalog.format(
      'PA017: the query has %s bytes, and may have %s', in_bytes, async.query_bytes_max())
  end
$function$;
