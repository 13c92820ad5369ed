-- Purpose: raises the error with which async.configure refuses a document.
-- Returns: nothing; it always raises.
-- Raises: PA060.
-- Locks: none.
create or replace function async.refuse_configuration(in_path text, in_problem text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  raise exception '%: %', in_path, in_problem
    using errcode = 'PA060', hint = 'Nothing was changed. Mend the document and configure again.';
end
$function$;
