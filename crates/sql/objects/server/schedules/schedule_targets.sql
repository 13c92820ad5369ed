-- Purpose: the targets of a schedule at this time: the target itself, or for tag:NAME the targets with
--   the tag that the owner may use, without retired ones.
-- Returns: their names, in order; empty if no target has the tag.
-- Raises: nothing.
-- Locks: none.
create or replace function async.schedule_targets(in_target text, in_scope async.scope_t) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if in_target not like 'tag:%' then
    return array[async.resolve_target(in_target)];
  end if;
  return array(
    select t.target from async.target t
    where substr(in_target, 5) = any (t.tags) and not t.retired and async.may_use_target(in_scope, t.target)
    order by t.target collate "C");
end
$function$;
