-- Purpose: the next operation of a free helper of a lane: cancels first; then first contact with
--   targets that have not failed yet, the latest first; then, in the general lane, fences and
--   targets that failed before. A target at which a helper is stuck gets no other one.
-- Returns: one row: op (cancel, terminate, fence, probe; null: nothing is due), target, session
--   ids.
-- Raises: nothing.
-- Locks: none.
-- (Longer than a screen: a list of what may be due, in order.)
create or replace function async.next_helper_op(
  in_lane text, out op text, out target text, out ids bigint[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_sessions_per_fence_max constant int := 50;
  c_look_every constant interval := '10 seconds';
begin
  -- Cancels at a target that is not ok go to the general lane, where a stuck helper does no harm.
  select case when s.cancels = 0 then 'cancel' else 'terminate' end, s.target, array[s.session_id]
  into op, target, ids
  from pg_temp.leader_worker s
  join pg_temp.leader_target t on t.target = s.target
  where s.state = 'running' and s.intention is not null and s.cancel_at <= clock_timestamp()
    and (in_lane = 'general' or in_lane = 'cancel' and t.health = 'ok')
    and not exists (select from pg_temp.leader_helper h
      where h.state = 'busy' and h.ids = array[s.session_id] or h.state = 'stuck' and h.target = s.target)
  order by s.cancel_at, s.worker
  limit 1;
  if op is not null or in_lane = 'cancel' then
    return;
  end if;

  select 'probe', t.target into op, target
  from pg_temp.leader_target t
  where t.health = 'unknown' and t.fresh
    and not exists (select from pg_temp.leader_helper h where h.state = 'stuck' and h.target = t.target)
    and exists (select from pg_temp.leader_lane l where l.target = t.target and not l.pullable and not l.exhausted)
  order by t.retry_at desc, t.target
  limit 1;
  if op is not null or in_lane = 'fresh' then
    return;
  end if;

  select 'fence', f.target, array_agg(f.session_id order by f.session_id) into op, target, ids
  from (
    select f.session_id, f.target
    from (
      select i.target, i.failures % 2 as turn, s.connection_string
      from pg_temp.leader_fence i
      left join async.session s on s.session_id = i.session_id
      where i.retry_at <= clock_timestamp()
        and not exists (select from pg_temp.leader_helper h
          where h.state in ('busy', 'stuck') and h.op = 'fence' and h.target = i.target)
      order by i.retry_at, i.session_id
      limit 1
    ) d
    -- Only sessions of one address, so that an unreachable address does not delay the end of the
    -- others.
    join pg_temp.leader_fence f
      on f.target = d.target and f.failures % 2 = d.turn and f.retry_at <= clock_timestamp()
    join async.session s
      on s.session_id = f.session_id
        and regexp_replace(s.connection_string, 'application_name=''[^'']*''', '')
          = regexp_replace(d.connection_string, 'application_name=''[^'']*''', '')
    order by f.session_id
    limit c_sessions_per_fence_max
  ) f
  group by f.target;
  if op is not null then
    return;
  end if;

  select 'probe', t.target into op, target
  from pg_temp.leader_target t
  where (t.health = 'down' and t.retry_at <= clock_timestamp() or t.health = 'unknown')
    and not exists (select from pg_temp.leader_helper h where h.state = 'stuck' and h.target = t.target)
    -- A target that was lost is probed without a task too, now and then, so that its state is known.
    and (t.health = 'down' and t.configured and t.retry_at + c_look_every <= clock_timestamp()
      or exists (select from pg_temp.leader_lane l where l.target = t.target and not l.pullable and not l.exhausted))
  order by t.retry_at, t.target
  limit 1;
end
$function$;
