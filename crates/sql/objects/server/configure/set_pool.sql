-- Purpose: adds a concurrency pool, or changes its size and the other given settings, and revives it if
--   it is retired. Other pools stay as they are.
-- Returns: nothing. A running leader applies the change.
-- Raises: PA060, as async.configure; the path begins with concurrency_pools[0].
-- Locks: as async.configure.
create or replace function async.set_pool(
  _concurrency_pool text, _max_workers int default null, _settings jsonb default '{}') returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
  perform async.change_part_as(c.caller, c.ticket, 'concurrency_pools', _concurrency_pool,
    case when _max_workers is null then _settings else _settings || jsonb_build_object('max_workers', _max_workers) end)
  from async.caller c;
end
$function$;
