-- Purpose: the snapshot that a poll remembers. The present transaction counts as open: what it makes
--   READY after the poll (a trigger of a user may push tasks) is an arrival of the next poll.
-- Returns: a snapshot for async.lead_arrivals.
-- Raises: nothing.
-- Locks: none.
create or replace function async.poll_snapshot()
returns txid_snapshot
language plpgsql
as $function$
declare
  v_snapshot constant txid_snapshot := txid_current_snapshot();
  v_own constant bigint := txid_current_if_assigned();
begin
  if v_own is null or v_own >= txid_snapshot_xmax(v_snapshot) then
    return v_snapshot;
  end if;
  return (
    select format('%s:%s:%s', min(i.id), txid_snapshot_xmax(v_snapshot), string_agg(i.id::text, ',' order by i.id))
    from (select o.id from txid_snapshot_xip(v_snapshot) as o(id) union select v_own) i)::txid_snapshot;
end
$function$;
