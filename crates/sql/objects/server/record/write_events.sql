-- Purpose: async.write_all without the arrays for claims and plain ends.
-- Returns: as async.write_all.
-- Raises: nothing because of a single row.
-- Locks: the rows of async.task; never waits for one.
create or replace function async.write_events(in_events async.event_t[])
returns table (
  task_id bigint, run int, event text, outcome text, error text,
  consumed timestamptz, processed timestamptz, yielded timestamptz, finish_status text, failed bool,
  processing_error text, times_up timestamptz, tracked bool, eligible_when timestamptz, row_run int,
  attempt int, ended_by text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return query
    select * from async.write_all(null, null, null, null, null, null, null, in_events, true, true);
end
$function$;
