-- Purpose: takes back offers that nobody took, so that their tasks wait in the queue again. Offers that a client is
--   taking at this moment are left alone.
-- Returns: the ids of the tasks that were withdrawn.
-- Raises: nothing.
-- Locks: the rows of async.offer and async.task that it changes; never waits for one.
create or replace function async.withdraw_offers(in_ids bigint[])
returns bigint[]
language plpgsql
as $function$
declare
  v_ids bigint[];
begin
  with taken_back as (
    delete from async.offer o
    where o.task_id = any (array(
      select i.task_id from async.offer i
      where i.task_id = any (in_ids)
      for update skip locked))
    returning o.task_id
  )
  select array_agg(b.task_id order by b.task_id) into v_ids from taken_back b;
  if v_ids is null then
    return '{}';
  end if;
  perform from async.apply_events(
    clock_timestamp(), v_ids, null,
    array_fill('WITHDRAW'::async.task_event_t, array[cardinality(v_ids)]),
    null, null, null, null);
  return v_ids;
end
$function$;
