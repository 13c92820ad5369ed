-- Purpose: the keys that async.configure accepts: the columns of the four tables, and max_workers
--   for a target.
-- Returns: section, key and kind (see async.check_setting).
-- Raises: nothing. Locks: none.
create or replace function async.configuration_keys()
returns table (out_section text, out_key text, out_kind text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  values
    ('control', 'enabled', 'bool'),
    ('control', 'workers', 'positive int'),
    ('control', 'idle_sleep', 'seconds'),
    ('control', 'heavy_maintenance_sleep', 'interval'),
    ('control', 'task_keep_duration', 'interval'),
    ('control', 'default_timeout', 'timeout'),
    ('control', 'advisory_mutex_id', 'int'),
    ('control', 'self_target', 'name'),
    ('control', 'self_connection_string', 'own connection string'),
    ('control', 'self_concurrency', 'positive int'),
    ('control', 'last_heavy_maintenance', 'ignored'),
    ('control', 'running_since', 'ignored'),
    ('control', 'paused', 'bool'),
    ('control', 'pid', 'ignored'),
    ('control', 'busy_sleep', 'seconds'),
    ('control', 'light_maintenance_sleep', 'interval'),
    ('control', 'last_light_maintenance', 'ignored'),
    ('control', 'default_concurrency_pool_workers', 'size'),
    ('control', 'startup_routines', 'routines'),
    ('control', 'loop_routines', 'routines'),
    ('control', 'version', 'ignored'),
    ('control', 'debug_log', 'bool'),
    ('control', 'target_patience', 'interval'),
    ('control', 'takeover_grace', 'interval'),
    ('control', 'default_retry', 'name'),
    ('control', 'result_bytes_max', 'result bytes'),
    -- Only the owner may change it: async.set_trigger_search_path.
    ('control', 'trigger_search_path', 'ignored'),
    ('target', 'target', 'name'),
    ('target', 'max_concurrency', 'size'),
    ('target', 'max_workers', 'size'),
    ('target', 'connection_string', 'connection string'),
    ('target', 'asynchronous_finish', 'bool'),
    ('target', 'default_timeout', 'timeout'),
    ('target', 'max_sessions', 'positive int'),
    ('target', 'concurrency_track_yielded', 'bool'),
    ('target', 'session_reset', 'bool'),
    ('target', 'tags', 'tags'),
    ('target', 'default_retry', 'name'),
    ('target', 'retired', 'bool'),
    ('concurrency_pool', 'concurrency_pool', 'name'),
    ('concurrency_pool', 'max_workers', 'size'),
    ('concurrency_pool', 'starts_max', 'size'),
    ('concurrency_pool', 'interval', 'timeout'),
    ('concurrency_pool', 'retired', 'bool'),
    ('retry_policy', 'retry_policy', 'policy name'),
    ('retry_policy', 'max_attempts', 'attempts'),
    ('retry_policy', 'delay', 'interval'),
    ('retry_policy', 'backoff', 'factor'),
    ('retry_policy', 'delay_max', 'interval'),
    ('retry_policy', 'jitter', 'share'),
    ('retry_policy', 'sqlstates', 'sqlstates'),
    ('retry_policy', 'timeouts', 'bool'),
    ('retry_policy', 'unreachable', 'bool'),
    ('retry_policy', 'unknown', 'bool'),
    ('retry_policy', 'may_run_twice', 'bool')
$function$;
