-- Purpose: makes a schedule, or replaces the caller's own one of this name. From then on the leader
--   pushes the query to the target at the times of _when, for the calling role. It runs as the caller,
--   whose role async.caller proves to async.schedule_as.
-- Returns: the first time at which it fires.
-- Raises: PA0A0 for times that cannot be read or never come, PA0A1 for an option, PA0A2 for the name of
--   another owner, PA0A5 for too many schedules, and the errors of async.push about its options.
-- Locks: as async.set_schedule; as async.wake_leader.
create or replace function async.schedule(
  _name text,
  _when text,
  _query text,
  _target text,
  time_zone text default 'UTC',
  overlap text default 'skip',
  catch_up text default 'last',
  priority int default null,
  concurrency_pool text default null,
  timeout interval default null,
  task_data jsonb default null,
  track_yielded bool default null,
  source text default null,
  retry text default null,
  expires_after interval default null,
  receipt bool default null) returns timestamptz
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
-- This form of an interval does not depend on settings.
set intervalstyle = 'iso_8601'
as $function$
begin
  return (
    select async.schedule_as(c.caller, c.ticket, jsonb_build_object(
      'schedule', _name, 'when', _when, 'query', _query, 'target', _target, 'time_zone', time_zone, 'overlap', overlap,
      'catch_up', catch_up, 'priority', priority, 'concurrency_pool', concurrency_pool, 'timeout', timeout,
      'task_data', task_data, 'track_yielded', track_yielded, 'source', source, 'retry', retry,
      'expires_after', expires_after, 'receipt', receipt))
    from async.caller c);
end
$function$;
