-- Purpose: whether two connection strings have the same host, port, database, user and password,
--   literally.
-- Returns: bool.
-- Raises: PA001 when a string cannot be parsed.
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
