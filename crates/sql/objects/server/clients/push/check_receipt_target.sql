-- Purpose: checks that the target of a pushed task with a receipt has receipts.
-- Returns: true.
-- Raises: PA01M.
-- Locks: none.
create or replace function async.check_receipt_target(in_path text, in_target text) returns bool
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  if (select t.receipts from async.target t where t.target = in_target) is not true then
    raise exception '%receipt: the target % has no receipts', in_path, quote_literal(in_target)
      using errcode = 'PA01M', hint = 'An administrator runs the SQL of async.target_setup(target) there, and configures '
        'the target with "receipts": true.';
  end if;
  return true;
end
$function$;
