-- Purpose: why a query cannot be sent with a receipt: it is not one transaction, or has no place in one.
--   A query that this does not recognize fails at its target, in the block of async.receipt_query.
-- Returns: what the query is, as the end of a sentence; null for a query that can be sent.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refuse_receipt(in_query text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_statement record;
begin
  if in_query is null then
    return 'is missing: clients run the task';
  end if;
  for v_statement in
    select s.* from async.scan_statements(in_query) s order by s.place
  loop
    if v_statement.copies_to_client then
      return 'is a COPY from or to the client';
    elsif v_statement.first_word in ('begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release')
      or v_statement.first_word = 'prepare' and v_statement.statement ~* E'\\mprepare\\s+transaction\\M'
    then
      return 'controls transactions';
    elsif async.refuses_transaction_block(v_statement.statement) then
      return 'cannot run in a transaction block';
    elsif v_statement.has_into and v_statement.main_word in ('select', '(') then
      return 'is a SELECT INTO';
    end if;
  end loop;
  return null;
end
$function$;
