-- Purpose: the pushed tasks that were not inserted, and the tasks that have their unique keys now.
-- Returns: the position of each in the arrays, and the other task: null if none has the key (any more,
--   or because a trigger kept the row out). waits: the other task waits for its first start, and is not
--   offered to clients.
--   A name that is no target is in_self.
-- Raises: nothing.
-- Locks: none.
create or replace function async.key_holders(
  in_ids bigint[], in_tasks async.task_push_t[], in_options async.push_options_t[], in_self text)
returns table (place int, holder bigint, waits bool)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $function$
begin
  return query
    select p.place, h.task_id, h.waits
    from (
      select i.ordinality::int as place, i.unique_key,
        coalesce((select g.target from async.target g where g.target = i.target), in_self) as target
      -- Not by subscripts, which take longer the longer the arrays are.
      from rows from (unnest(in_ids), unnest(in_tasks), unnest(in_options)) with ordinality as i(task_id)
      where not exists (select from async.task t where t.task_id = i.task_id)
      offset 0
    ) p
    left join lateral (
      select t.task_id,
        t.consumed is null and t.yielded is null and t.run = 0 and t.tracked is not true as waits
      from async.task t
      where t.target = p.target and t.unique_key = p.unique_key and t.processed is null
        and (t.unique_while = 'unfinished' or t.run = 0)
    ) h on true;
end
$function$;
