-- Purpose: the present configuration, as a document that async.configure takes. Passwords are masked, so
--   a connection string with a password has to be left out, or completed, before the document is given
--   back. Settings without a value are left out, and
--   paused where it is false: a document that does not name it leaves it as it is.
-- Returns: an object with the five sections. Schedules that async.schedule made are no part of it.
-- Raises: nothing. Locks: none.
create or replace function async.configuration() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $function$
  select jsonb_build_object(
    'control', (
      select jsonb_strip_nulls(async.settings_of('control', to_jsonb(c)
        || jsonb_build_object('self_connection_string', async.mask_connection_string(c.self_connection_string))))
      from async.control c),
    'targets', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('target', to_jsonb(t)
        || jsonb_build_object('connection_string', async.mask_connection_string(t.connection_string),
          'paused', nullif(t.paused, false))))
        order by t.target), '[]')
      from async.target t
      where t.target <> (select c.self_target from async.control c)),
    'concurrency_pools', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('concurrency_pool', to_jsonb(p)
        || jsonb_build_object('paused', nullif(p.paused, false))))
        order by p.concurrency_pool), '[]')
      from async.concurrency_pool p),
    'retry_policies', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('retry_policy', to_jsonb(r)))
        order by r.retry_policy), '[]')
      from async.retry_policy r),
    'schedules', (
      select coalesce(jsonb_agg(jsonb_strip_nulls(async.settings_of('schedule', to_jsonb(s)))
        order by s.schedule), '[]')
      from async.schedule s
      where s.configured))
$function$;
