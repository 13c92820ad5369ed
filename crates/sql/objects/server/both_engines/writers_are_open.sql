-- Purpose: whether a transaction with an id below in_before is open that may have read
--   async.leader_sleep before the leader fell asleep: it still holds the lock of that read, or a
--   lock with which it writes tasks or requests (the functions of an earlier version did not read
--   async.leader_sleep). Other roles cannot take the first lock, and take the second one only by a
--   write of their own. A prepared transaction keeps its id and its locks. What an ended transaction wrote
--   is visible to the next statement.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.writers_are_open(in_before bigint)
returns bool
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    -- Read once: a transaction that is being prepared changes its virtualtransaction.
    with held as (
      select l.virtualtransaction, l.locktype, l.database, l.relation, l.transactionid, l.mode
      from pg_locks l
      where l.granted and l.pid is distinct from pg_backend_pid()
    )
    select exists (
      select
      from held x
      join held r on r.virtualtransaction = x.virtualtransaction
      where x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
        -- An id has 32 bits. The ids of open transactions span less than half of them.
        and (in_before - x.transactionid::text::bigint) & 4294967295 between 1 and 2147483647
        and r.locktype = 'relation'
        and r.database = (select d.oid from pg_database d where d.datname = current_database())
        and (r.relation = 'async.leader_sleep'::regclass
          or r.relation in ('async.task'::regclass, 'async.request'::regclass)
            and r.mode not in ('AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock', 'ShareLock'))));
end
$function$;
