-- Purpose: the options of async.push_many, with query and target, and the JSON types of their values.
--   A null is a value of each.
-- Returns: one row for each.
-- Raises: nothing.
-- Locks: none.
create or replace function async.push_options() returns table (name text, json_type text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  values
    ('query', 'string'),
    ('target', 'string'),
    ('priority', 'number'),
    ('concurrency_pool', 'string'),
    ('timeout', 'string'),
    ('task_data', 'any'),
    ('track_yielded', 'boolean'),
    ('source', 'string'),
    ('run_at', 'string'),
    ('expires_at', 'string'),
    ('unique_key', 'string'),
    ('unique_while', 'string'),
    ('on_conflict', 'string'),
    ('retry', 'string'),
    ('keep_result', 'boolean'),
    ('receipt', 'boolean')
$function$;
