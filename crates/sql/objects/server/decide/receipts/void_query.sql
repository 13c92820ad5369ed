-- Purpose: the statement that resolves a lost run at its target: it voids the receipt, unless it is there.
--   It writes in both cases, so it waits for a run that is still open. in_database is that of the run.
-- Returns: text; the statement returns one text: true (voided: the query had no effect and can have none),
--   false (the query has committed), or the name of another database, in which nothing was written.
-- Raises: nothing.
-- Locks: none.
create or replace function async.void_query(
  in_database text, in_server_id text, in_election text, in_task_id bigint, in_run int
) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format('with resolved as (insert into pgasync.receipt as r (server_id, election, task_id, run, voided) '
    'select %L::pg_catalog.text, %L::pg_catalog.text, %s::pg_catalog.int8, %s::pg_catalog.int4, true '
    'where pg_catalog.current_database() operator(pg_catalog.=) %L::pg_catalog.name '
    'on conflict (server_id, election, task_id, run) do update set voided = r.voided returning r.voided) '
    'select coalesce((select v.voided::pg_catalog.text from resolved v), '
    '''database '' operator(pg_catalog.||) pg_catalog.current_database()::pg_catalog.text)',
    in_server_id, in_election, in_task_id, in_run, in_database)
$function$;
