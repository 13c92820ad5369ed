-- Purpose: the lines of the log after a line; without one, the newest 100. _grep keeps the lines
--   that contain it.
-- Returns: at most _limit lines, the oldest first.
-- Raises: nothing. Locks: none.
create or replace function async.tail_once(
  _server_log_id bigint default null,
  _grep text default null,
  _limit int default 1000) returns setof async.server_log
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
  select n.*
  from (
    select l.*
    from async.server_log l
    where _server_log_id is null and (_grep is null or position(_grep in l.message) > 0)
    order by l.server_log desc
    limit least(100, _limit)
  ) n
  union all
  select n.*
  from (
    select l.*
    from async.server_log l
    where l.server_log > _server_log_id and (_grep is null or position(_grep in l.message) > 0)
    order by l.server_log
    limit _limit
  ) n
  order by 1
$function$;
