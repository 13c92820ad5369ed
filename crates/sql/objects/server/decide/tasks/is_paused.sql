-- Purpose: whether a pool or a target is paused, so that no task of theirs starts.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.is_paused(in_pool text, in_target text)
returns bool language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return exists (select from async.concurrency_pool p where p.concurrency_pool = in_pool and p.paused)
    or exists (select from async.target t where t.target = in_target and t.paused);
end
$function$;
