-- Purpose: why a leader does not launch the query of a row, which it judges by the length alone. A
--   push refuses such a query; it comes to be by an update.
-- Returns: the error of the task; null when there is nothing against the query.
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
