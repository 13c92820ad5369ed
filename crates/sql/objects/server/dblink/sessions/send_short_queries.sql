-- Purpose: sends short texts of launches in one statement, and notes the time for which that blocked the
--   leader. A session whose send fails is lost, because a part of the text may have arrived.
-- Returns: the workers whose sessions are lost; null when there are none.
-- Raises: nothing because of a single session.
-- Locks: none.
create or replace function async.send_short_queries(
  in_workers int[], in_conns text[], in_targets text[], in_texts text[]
) returns int[]
language plpgsql
as $function$
declare
  v_open constant text[] := public.dblink_get_connections();
  v_lost int[];
  v_took interval;
  v_slow text[];
begin
  select array_agg(r.worker) filter (where r.sent <> 1), max(r.took),
    array_agg(r.target) filter (where r.sent <> 1 and r.took > interval '200 milliseconds')
  into v_lost, v_took, v_slow
  from (
    select e.worker, e.target, e.sent, clock_timestamp() - e.began as took
    from (
      select i.worker, i.target, clock_timestamp() as began,
        -- A routine may have closed the connection.
        case when i.conn = any (v_open) then public.dblink_send_query(i.conn, i.query) else 0 end as sent
      from unnest(in_workers, in_conns, in_targets, in_texts) as i(worker, conn, target, query)
      offset 0
    ) e
    offset 0
  ) r;
  perform async.note_blocked_time(v_took);
  if v_lost is not null then
    perform async.lose_session(l) from unnest(v_lost) l;
    perform async.note_session_failure(t, 'it does not read what is sent to it') from unnest(v_slow) t;
  end if;
  return v_lost;
end
$function$;
