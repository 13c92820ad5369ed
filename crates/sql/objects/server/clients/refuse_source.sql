-- Purpose: refuses the source of a push, which is too long.
-- Returns: nothing.
-- Raises: PA01C.
-- Locks: none.
create or replace function async.refuse_source(in_source text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception 'the source of the push is too long (% bytes)', octet_length(in_source)
    using errcode = 'PA01C', hint = format('It may have %s bytes.', async.name_bytes_max());
end
$function$;
