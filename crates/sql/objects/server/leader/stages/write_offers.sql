-- Purpose: offers tasks to the clients that pull them. Each offer holds a pool slot until the task
--   is taken and finished, or the offer is withdrawn.
-- Returns: nothing.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.write_offers(in_now timestamptz, in_ids bigint[])
returns void
language plpgsql
as $function$
declare
  v_events async.event_t[];
  v_row record;
  v_offered bigint[] := in_ids;
begin
  v_events := array(
    select row(r.task_id, null, 'OFFER', in_now, null, null, null, null, coalesce(g.default_timeout, c.default_timeout),
      null, null, null)::async.event_t
    from async.lead_rows(in_ids) r
    left join async.target g on g.target = r.target
    cross join async.control c);
  for v_row in select w.* from async.leader_write(in_now, null, null, null, null, null, v_events) w loop
    if (v_row.outcome = 'rewritten' and v_row.tracked and v_row.processed is null) is not true then
      v_offered := array_remove(v_offered, v_row.task_id);
    end if;
  end loop;
  update pg_temp.leader_pool p set taken = p.taken + n.offered, offered = p.spacing is not null
  from (
    select r.pool, count(*)::int as offered from async.lead_rows(v_offered) r group by r.pool
  ) n
  where p.pool = n.pool;
end
$function$;
