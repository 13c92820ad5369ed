-- Purpose: whether a task was pushed by one of these roles, by async.task.pushed_by: session_user, or
--   session_user as current_user, of which the latter counts. The names of in_ambiguous read like two
--   names, and are one: roles with as in their names.
-- Returns: bool; null for a task without the column.
-- Raises: nothing.
-- Locks: none. (No SET clause: the planner inlines it.)
create or replace function async.is_pushed_by(in_pushed_by text, in_roles text[], in_ambiguous text[]) returns bool
language sql immutable as $function$
  select in_pushed_by operator(pg_catalog.=) any (in_roles)
    or pg_catalog.split_part(in_pushed_by, ' as ', 2) operator(pg_catalog.=) any (in_roles)
      and pg_catalog.split_part(in_pushed_by, ' as ', 3) operator(pg_catalog.=) ''
      and in_pushed_by operator(pg_catalog.<>) all (in_ambiguous)
$function$;
