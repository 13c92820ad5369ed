-- Purpose: the text of a refused firing, as the row and the log have it: without passwords and control
--   characters, and not long.
-- Returns: text.
-- Raises: nothing.
-- Locks: none.
create or replace function async.describe_refusal(in_sqlstate text, in_message text) returns text
language sql
set search_path = pg_catalog, pg_temp
as $function$
  select left(async.visible_text(async.mask_text(
    format('%s: %s', in_sqlstate, regexp_replace(in_message, '^task 1: ', '')))), 1000)
$function$;
