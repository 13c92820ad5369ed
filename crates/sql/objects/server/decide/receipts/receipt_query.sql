-- Purpose: the text that both engines send for a query with a receipt: the receipt, the query in a DO
--   block, and a block that makes the commit of both synchronous. Without transaction control all of it is
--   one transaction, whose commit precedes the answer to the last statement. Inside of the block Postgres
--   refuses transaction control. With in_result_bytes_max the rows are kept (async.keep_query), else
--   they are dropped at the target. Every name is qualified, since the path is that of the role there.
-- Returns: text. A query that async.refuse_receipt refuses, because it was changed after the push, fails
--   there.
-- Raises: nothing.
-- Locks: none.
create or replace function async.receipt_query(
  in_query text, in_server_id text, in_election text, in_task_id bigint, in_run int, in_result_bytes_max int
) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- A run that was marked for a session and not sent may be sent on another one. The fence of the first
  -- voids its receipt meanwhile, if it comes before the new mark.
  c_receipt constant text := 'do $pgasync$begin '
    'insert into pgasync.receipt (server_id, election, task_id, run) values (%1$L, %2$L, %3$s, %4$s); '
    'exception when unique_violation then '
    'if exists (select from pgasync.receipt r where r.server_id operator(pg_catalog.=) %1$L::pg_catalog.text '
    'and r.election operator(pg_catalog.=) %2$L::pg_catalog.text and r.task_id operator(pg_catalog.=) %3$s::pg_catalog.int8 '
    'and r.run operator(pg_catalog.=) %4$s::pg_catalog.int4 and r.voided) then '
    'raise exception using errcode = ''PA216'', message = ''the receipt of the run was voided before its query began''; '
    'end if; raise; end$pgasync$; ';
  -- Deferred triggers run before, so that none changes the setting afterwards.
  c_end constant text := '; do $pgasync$begin set constraints all immediate; '
    'perform pg_catalog.set_config(''synchronous_commit'', ''on'', true) '
    'where pg_catalog.current_setting(''synchronous_commit'') operator(pg_catalog.=) ''off''; end$pgasync$';
  c_result constant text := '; select pg_catalog.current_setting(''pgasync.result'') as result';
  v_kind text := async.classify_query(in_query);
  v_body text;
begin
  if in_result_bytes_max is not null then
    v_body := async.keep_block(in_query, in_result_bytes_max);
  else
    if v_kind not in ('loop', 'execute', 'script') then
      select case when count(*) > 1 and bool_and(s.complete) then 'script' else 'execute' end into v_kind
      from async.scan_statements(in_query) s;
    end if;
    v_body := async.wrap_query(in_query, v_kind);
  end if;
  return format(c_receipt, in_server_id, in_election, in_task_id, in_run) || v_body || c_end
    || case when in_result_bytes_max is null then '' else c_result end;
end
$function$;
