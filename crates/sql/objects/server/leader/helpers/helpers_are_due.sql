-- Purpose: whether an operation for a helper is due. It is called in every cycle, so it must be
--   cheap.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.helpers_are_due()
returns bool
language plpgsql
as $function$
begin
  if exists (select from pg_temp.leader_worker s where s.cancel_at <= clock_timestamp() and s.state = 'running')
    or exists (select from pg_temp.leader_fence f where f.retry_at <= clock_timestamp())
  then
    return true;
  end if;
  -- The lanes, of which there may be many, are read only for such a target.
  return exists (
      select from pg_temp.leader_target t
      where t.health = 'unknown' or t.health = 'down' and t.retry_at <= clock_timestamp())
    and exists (
      select from pg_temp.leader_target t
      join pg_temp.leader_lane l on l.target = t.target and not l.pullable and not l.exhausted
      where t.health = 'unknown' or t.health = 'down' and t.retry_at <= clock_timestamp());
end
$function$;
