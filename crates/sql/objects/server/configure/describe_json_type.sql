-- Purpose: the name of a JSON type in a sentence.
-- Returns: the name with its article.
-- Raises: nothing. Locks: none.
create or replace function async.describe_json_type(in_type text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $function$
  select case
    when in_type = 'boolean' then 'true or false'
    when in_type = 'null' then 'null'
    when in_type in ('array', 'object') then 'an ' || in_type
    else 'a ' || in_type
  end
$function$;
