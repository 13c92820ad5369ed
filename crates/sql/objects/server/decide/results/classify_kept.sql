-- Purpose: how the block of async.keep_query runs a query whose rows are kept, or why it cannot.
-- Returns: kind: 'loop' (it returns rows), 'execute' (it returns none), or 'probe' (only the target
--   knows). Or refused: what the query is that cannot be kept, as the end of a sentence.
-- Raises: nothing.
-- Locks: none.
create or replace function async.classify_kept(in_query text, out kind text, out refused text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_class constant text := async.classify_query(in_query);
  v_statements int;
  v_first record;
  v_complete bool;
begin
  if v_class = 'loop' then
    kind := v_class;
    return;
  end if;
  select count(*) filter (where s.first_word <> ''), bool_and(s.complete) into v_statements, v_complete
  from async.scan_statements(in_query) s;
  select s.* into v_first from async.scan_statements(in_query) s where s.first_word <> '' order by s.place
  fetch first row only;
  if v_statements > 1 then
    refused := 'has several statements';
  elsif v_first.first_word = 'copy' then
    refused := 'is a COPY';
  elsif v_first.first_word in ('begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release')
    or v_first.first_word = 'prepare' and v_first.statement ~* E'\\mprepare\\s+transaction\\M'
  then
    refused := 'controls transactions';
  elsif async.refuses_transaction_block(v_first.statement) then
    refused := 'cannot run in a transaction block';
  elsif v_first.has_into and v_class = 'raw' and v_first.first_word in ('select', '(', 'with') then
    refused := 'is a SELECT INTO';
  elsif v_first.first_word = 'call' or v_complete is false then
    kind := 'probe';
  else
    kind := 'execute';
  end if;
end
$function$;
