-- Purpose: applies the requests of clients: a running query gets an intention, which is recorded
--   when the query ends; any other task changes at once. It runs after results were read and before
--   they are recorded.
-- Returns: the number of requests that were applied.
-- Raises: nothing because of a single task.
-- Locks: the rows of async.task that it changes; never waits for one.
create or replace function async.apply_requests(in_now timestamptz)
returns int
language plpgsql
as $function$
declare
  c_requests_per_cycle_max constant int := 1000;
  c_message_bytes_per_cycle_max constant int := 4194304;
  v_request record;
  v_events async.event_t[];
  v_backing_off int;
  v_dealt int := 0;
begin
  perform from async.request r limit 1;
  if not found then
    return 0;
  end if;

  -- Requests for running queries are kept until the outcome is recorded, so that they survive this
  -- leader.
  for v_request in
    select r.request_id, r.status, r.error_message, r.duration, r.requested_by, s.worker
    from pg_temp.leader_worker s
    join async.request r on r.task_id = s.task_id
    where s.state in ('claimed', 'running', 'ended', 'lost') and r.request_id <> all (s.request_ids)
    order by r.request_id
  loop
    perform async.set_intention(v_request.worker, in_now, v_request.status,
      async.request_message(v_request.status, v_request.error_message), v_request.duration,
      v_request.requested_by);
    update pg_temp.leader_worker s set request_ids = s.request_ids || v_request.request_id
    where s.worker = v_request.worker;
    v_dealt := v_dealt + 1;
  end loop;

  -- Of the other requests, the oldest of each task.
  v_events := array(
    select row(n.task_id, null, 'REQUEST', in_now, n.status, n.error_message, null, n.duration, null,
      array[n.request_id], null, n.requested_by)::async.event_t
    from (
      select distinct on (r.task_id) r.*
      from (
        select l.*,
          coalesce(sum(octet_length(l.error_message)) over (order by l.request_id rows between unbounded preceding
            and 1 preceding), 0) as bytes_before
        from (
          select i.* from async.request i
          where not exists (select from pg_temp.leader_worker s
              where s.task_id = i.task_id and s.state in ('claimed', 'running', 'ended', 'lost'))
            and not exists (select from pg_temp.leader_orphan o where o.task_id = i.task_id and not o.recorded)
            and not exists (select from pg_temp.leader_backoff p where p.task_id = i.task_id and p.until > in_now)
          order by i.request_id
          limit c_requests_per_cycle_max
        ) l
      ) r
      where r.bytes_before <= c_message_bytes_per_cycle_max
      order by r.task_id, r.request_id
    ) n
    order by n.request_id);
  if v_events = '{}' then
    return v_dealt;
  end if;
  select count(*) filter (where w.backs_off) into v_backing_off
  from async.leader_write(in_now, null, null, null, null, null, v_events) w;
  update pg_temp.leader_state set writes = writes + cardinality(v_events);
  return v_dealt + cardinality(v_events) - v_backing_off;
end
$function$;
