-- Purpose: receipts that can be deleted at their target: their tasks ended control.receipt_keep ago, or are
--   deleted. Those of another server, of which this one is a copy, are only forgotten here.
-- Returns: at most one row, of a target that is chosen at random: its connection string (null if it was
--   deleted), whether it is the server itself, the keys of up to 1000 receipts here, and the statement that
--   deletes them there and returns one text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.old_receipts(in_now timestamptz)
returns table (target text, connection_string text, is_self bool, task_ids bigint[], runs int[], query text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
  c_receipts_max constant int := 1000;
  v_before constant timestamptz := in_now - (select c.receipt_keep from async.control c);
begin
  return query
  with recursive targets as (
    (select r.target from async.receipt r order by r.target limit 1)
    union all
    select (select r.target from async.receipt r where r.target > s.target order by r.target limit 1)
    from targets s where s.target is not null
  ), old as (
    select s.target, array_agg(o.task_id) as task_ids, array_agg(o.run) as runs,
      string_agg(format('(%L::pg_catalog.text, %L::pg_catalog.text, %s::pg_catalog.int8, %s::pg_catalog.int4)',
        case when o.server_id = l.server_id then o.server_id else '' end, o.election, o.task_id, o.run), ', ') as keys
    from targets s
    cross join async.leader l
    cross join lateral (
      select r.* from async.receipt r
      left join async.task t on t.task_id = r.task_id
      where r.target = s.target and r.marked < v_before and (t.task_id is null or t.processed < v_before)
      order by r.marked
      limit c_receipts_max
    ) o
    group by s.target
    order by random()
    limit 1
  )
  select o.target, t.connection_string, coalesce(t.target = c.self_target, false), o.task_ids, o.runs,
    format('with gone as (delete from pgasync.receipt r using (values %s) as k(server_id, election, task_id, run) '
      'where r.server_id operator(pg_catalog.=) k.server_id and r.election operator(pg_catalog.=) k.election '
      'and r.task_id operator(pg_catalog.=) k.task_id and r.run operator(pg_catalog.=) k.run) '
      'select ''deleted''::pg_catalog.text', o.keys)
  from old o
  cross join async.control c
  left join async.target t on t.target = o.target;
end
$function$;
