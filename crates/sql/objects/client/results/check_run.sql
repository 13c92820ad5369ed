-- Purpose: checks, before async.run pushes anything, that its caller may commit and can see how a task
--   ends. in_refusal is the error of a COMMIT in a block with an exception handler of async.run, which
--   always fails. The message is that of async.try_to_commit where the caller forbids the commit: it is in
--   a transaction block, or a function. Otherwise it names the handler.
-- Returns: nothing.
-- Raises: PA054 if the caller cannot commit, PA051 above READ COMMITTED.
-- Locks: none.
create or replace function async.check_run(in_refusal text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  begin
    perform async.try_to_commit();
  exception when invalid_transaction_termination then
    if sqlerrm = in_refusal then
      raise exception 'async.run needs autocommit: it cannot commit its push inside a transaction block or a function'
        using errcode = 'PA054',
          hint = 'Call it outside of a transaction; or push with async.push, commit, and call async.wait_for.';
    end if;
  end;
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception 'a transaction that is % cannot see how tasks end', current_setting('transaction_isolation')
      using errcode = 'PA051', hint = 'Call async.run at READ COMMITTED.';
  end if;
end
$function$;
