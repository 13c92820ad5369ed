-- Purpose: the size of the next step of the history, from the size and the duration of the last
--   one. A foreign key without an index, or a slow trigger, makes each row expensive.
-- Returns: a number of rows, from 1 to 5000.
-- Raises: nothing.
-- Locks: none.
create or replace function async.next_step_rows(in_rows int, in_took interval)
returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select least(5000, greatest(1, least(in_rows * 2, case
    when in_took <= '0' then 5000
    else (in_rows * least(5000, 0.1 / extract(epoch from in_took)))::int
  end)))
$function$;
