-- Purpose: the open transactions that may have read async.leader_sleep, by their ids: those that
--   hold the lock of that read, or a lock with which they write tasks or requests (the functions of
--   an earlier version did not read async.leader_sleep). Other roles cannot take the first lock, and
--   take the second one only by a write of their own. A prepared transaction keeps its id and its
--   locks. What an ended transaction wrote is visible to the next statement.
-- Returns: ids of 64 bits, as of txid_current.
-- Raises: nothing.
-- Locks: none.
create or replace function async.open_writers()
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- An id in pg_locks has 32 bits. Those of open transactions differ by less than 2^31 from this.
  v_near constant bigint := txid_snapshot_xmax(txid_current_snapshot());
begin
  return query
    -- Read once: a transaction that is being prepared changes its virtualtransaction.
    with held as (
      select l.virtualtransaction, l.locktype, l.database, l.relation, l.transactionid, l.mode
      from pg_locks l
      where l.granted and l.pid is distinct from pg_backend_pid()
    )
    select v_near + ((x.transactionid::text::bigint - v_near + 2147483648) & 4294967295) - 2147483648
    from held x
    where x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
      and exists (
        select from held r
        where r.virtualtransaction = x.virtualtransaction and r.locktype = 'relation'
          and r.database = (select d.oid from pg_database d where d.datname = current_database())
          and (r.relation = 'async.leader_sleep'::regclass
            or r.relation in ('async.task'::regclass, 'async.request'::regclass)
              and r.mode not in ('AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock', 'ShareLock')));
end
$function$;
