-- Purpose: sends the queries of claimed and marked tasks, each on the session that its mark names: short
--   texts in one statement, and then each long text (async.send_query). The send of a long text blocks
--   while its target does not read, so the other long texts of a target that blocked the leader are
--   given back, and wait until that time is compensated (see async.note_blocked_time).
-- Returns: the number of queries that were sent.
-- Raises: nothing because of a single session.
-- Locks: none.
-- (Longer than a screen: one loop over the launches.)
create or replace function async.send_launches()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
declare
  c_query_bytes_max constant int := async.query_bytes_max();
  -- The buffers of a socket accept a shorter text even if the target does not read.
  c_short_text_bytes_max constant int := 65536;
  -- A text has fewer results than bytes, except those of rules.
  c_results_of_rules_max constant int := 100;
  c_receiving_max constant interval := '1 second';
  c_receiving_for_a_byte_max constant interval := '10 microseconds';
  v_launch record;
  v_receipt record;
  v_query text;
  v_kind text;
  v_text text;
  v_names_itself bool;
  v_result text;
  v_short int[] := '{}';
  v_short_conns text[] := '{}';
  v_short_targets text[] := '{}';
  v_short_texts text[] := '{}';
  v_workers int[] := '{}';
  v_kinds text[] := '{}';
  v_bytes int[] := '{}';
  v_slow text[] := '{}';
  v_lost int[];
begin
  for v_launch in
    -- A query that is too long is not read.
    select s.worker, s.conn, s.target, s.task_id, octet_length(t.query) as bytes,
      case when octet_length(t.query) <= c_query_bytes_max then t.query end as query,
      t.keep_result_for is not null as keeps, t.receipt, s.run,
      t.may_reach_self is false
        and exists (select from async.session a where a.session_id = s.session_id and a.at_self) as not_granted
    from pg_temp.leader_worker s
    left join async.task t on t.task_id = s.task_id
    where s.state = 'claimed'
    order by s.worker
  loop
    if v_launch.query is null or v_launch.not_granted then
      v_kind := 'refused';
      v_query := null;
    elsif v_launch.receipt then
      select r.* into v_receipt from async.receipt r where r.task_id = v_launch.task_id and r.run = v_launch.run;
      if not found then
        -- It is noted with the next mark.
        update pg_temp.leader_state set receipts = true where not receipts;
        update pg_temp.leader_worker s set state = 'ended', outcome = 'unsent', sent = null, since = clock_timestamp()
        where s.worker = v_launch.worker;
        continue;
      end if;
      v_kind := case when v_launch.keeps then 'kept' else 'raw' end;
      v_query := null;
      v_names_itself := false;
      v_text := replace(async.receipt_query(v_launch.query, v_receipt.server_id, v_receipt.election, v_launch.task_id,
          v_launch.run, case when v_launch.keeps then (select c.result_bytes_max from async.control c) end),
        '##flow.TASK_ID##', v_launch.task_id::text);
    elsif v_launch.keeps then
      v_kind := 'kept';
      v_query := null;
      v_names_itself := false;
      v_text := replace(async.keep_query(v_launch.query, (select c.result_bytes_max from async.control c)),
        '##flow.TASK_ID##', v_launch.task_id::text);
    -- Many tasks have the same text.
    elsif v_query is distinct from v_launch.query then
      v_query := v_launch.query;
      v_kind := async.classify_query(v_query);
      v_names_itself := strpos(v_query, '##flow.TASK_ID##') > 0;
      if v_kind <> 'refused' and not v_names_itself then
        v_text := async.wrap_query(v_query, v_kind);
      end if;
    end if;
    if v_kind = 'refused' then
      update pg_temp.leader_worker s
      set state = 'ended', outcome = 'error', sent = null, since = clock_timestamp(),
          error = coalesce(async.refuse_query(v_launch.bytes),
            case when v_launch.not_granted then 'PA082: the target leads to the server itself as its owner, and the task '
              'was pushed without a grant on SELF' end,
            'PA205: COPY from STDIN or to STDOUT has no client to talk to here; use a file, or insert ... select')
      where s.worker = v_launch.worker;
      continue;
    end if;
    if v_names_itself then
      v_text := async.wrap_query(replace(v_query, '##flow.TASK_ID##', v_launch.task_id::text), v_kind);
    end if;
    if octet_length(v_text) <= c_short_text_bytes_max then
      v_short := v_short || v_launch.worker;
      v_short_conns := v_short_conns || v_launch.conn;
      v_short_targets := v_short_targets || v_launch.target;
      v_short_texts := v_short_texts || v_text;
    elsif v_launch.target = any (v_slow) then
      update pg_temp.leader_worker s set state = 'ended', outcome = 'unsent', sent = null, since = clock_timestamp()
      where s.worker = v_launch.worker;
      continue;
    else
      v_result := async.send_query(v_launch.worker, v_launch.conn, v_launch.target, v_text);
      if v_result in ('slow', 'unread') then
        v_slow := v_slow || v_launch.target;
      end if;
      continue when v_result not in ('sent', 'slow');
    end if;
    v_workers := v_workers || v_launch.worker;
    v_kinds := v_kinds || v_kind;
    v_bytes := v_bytes || v_launch.bytes;
  end loop;
  if v_short <> '{}' then
    v_lost := async.send_short_queries(v_short, v_short_conns, v_short_targets, v_short_texts);
  end if;
  update pg_temp.leader_worker s
  set state = 'running', since = clock_timestamp(), sent = n.kind,
      results_left = c_results_of_rules_max + n.bytes,
      receiving_left = c_receiving_max + c_receiving_for_a_byte_max * n.bytes,
      -- The session was opened before its target had dblink, so the schema of dblink is unknown.
      spent = s.spent or s.dblink_schema is null and n.uses_dblink,
      connections_closed = false
  from (
    select i.worker, i.kind, i.bytes,
      coalesce(strpos(lower(v_short_texts[array_position(v_short, i.worker)]), 'dblink') > 0, false) as uses_dblink
    from unnest(v_workers, v_kinds, v_bytes) as i(worker, kind, bytes)
  ) n
  where s.worker = n.worker and (v_lost is null or s.worker <> all (v_lost));
  if (select l.limits_starts from pg_temp.leader_state l) then
    update pg_temp.leader_pool p set started_at = clock_timestamp()
    where p.spacing is not null
      and p.pool in (select s.pool from pg_temp.leader_worker s where s.worker = any (v_workers));
  end if;
  return cardinality(v_workers) - coalesce(cardinality(v_lost), 0);
end
$function$;
