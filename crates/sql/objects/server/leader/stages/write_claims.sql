-- Purpose: writes claims, and updates the memory with the resulting rows: the workers of the tasks,
--   and the occupancy of the pools. in_claims is in the order of the plan. Nothing is sent before the
--   commit.
-- Returns: nothing.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.write_claims(in_now timestamptz, in_claims async.claim_t[])
returns void
language plpgsql
as $function$
declare
  v_row record;
  v_ids bigint[];
  v_runs int[];
  v_timeouts interval[];
  v_claimed bigint[];
begin
  select array_agg(c.task_id order by c.ordinality), array_agg(c.run order by c.ordinality),
    array_agg(c.timeout order by c.ordinality)
  into v_ids, v_runs, v_timeouts
  from unnest(in_claims) with ordinality c;
  v_claimed := v_ids;
  for v_row in
    select w.* from async.leader_write(in_now, v_ids, v_runs, v_timeouts, null, null, null) w
  loop
    -- A trigger may have changed a claim. Only a task that is RUNNING now is launched.
    if (v_row.outcome = 'rewritten' and v_row.consumed is not null and v_row.processed is null and v_row.yielded is null
        and v_row.run = v_runs[array_position(v_ids, v_row.task_id)] + 1) is not true then
      v_claimed := array_remove(v_claimed, v_row.task_id);
    end if;
  end loop;

  update pg_temp.leader_worker s
  set state = 'claimed', task_id = c.task_id, run = c.run + 1, pool = c.pool, since = in_now
  from unnest(in_claims) c
  where s.worker = c.worker and c.task_id = any (v_claimed);
  update pg_temp.leader_pool p set taken = p.taken + n.claimed
  from (
    select c.pool, count(*)::int as claimed from unnest(in_claims) c where c.task_id = any (v_claimed) group by c.pool
  ) n
  where p.pool = n.pool;
end
$function$;
