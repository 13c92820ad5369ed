-- Purpose: whether two connection strings lead to the same host, port and database in the same
--   words.
-- Returns: bool.
-- Raises: PA001 for a string that is none.
-- Locks: none.
create or replace function async.same_server(in_one text, in_other text)
returns bool
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select (o.p -> 'host', o.p -> 'hostaddr', o.p -> 'port', o.p -> 'dbname', o.p -> 'user', o.p -> 'password')
    is not distinct from
    (t.p -> 'host', t.p -> 'hostaddr', t.p -> 'port', t.p -> 'dbname', t.p -> 'user', t.p -> 'password')
  from (select async.parse_conninfo(in_one) as p) o cross join (select async.parse_conninfo(in_other) as p) t
$function$;
