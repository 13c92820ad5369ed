-- Purpose: the lanes whose tasks have to fail because their target is deleted (unknown), or has been
--   down for longer than target_patience and is not paused.
-- Returns: the lanes, with the error of their target.
-- Raises: nothing.
-- Locks: none.
create or replace function async.lanes_of_lost_targets(in_now timestamptz)
returns table (pool text, target text, unknown bool, last_error text, target_patience interval)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $function$
#variable_conflict use_column
begin
  return query
  -- A target that was configured a moment ago is not in the memory of the leader yet.
  select l.pool, l.target, g.target is null as unknown, t.last_error, c.target_patience
  from pg_temp.leader_lane l
  cross join async.control c
  left join async.target g on g.target = l.target
  left join pg_temp.leader_target t on t.target = l.target
  where not l.exhausted and not l.pullable
    and (g.target is null
      or t.health <> 'ok' and not t.paused and t.down_since <= in_now - c.target_patience
        and not async.references_secret(t.connection_string)
        and not exists (select from pg_temp.leader_worker s
          where s.target = l.target and s.state in ('idle', 'claimed', 'running', 'ended', 'cleaning')));
end
$function$;
