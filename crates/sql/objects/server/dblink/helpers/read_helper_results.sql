-- Purpose: processes the answers of helpers. A helper whose answer arrived before the end of its
--   query is stuck until that end.
-- Returns: the number of answers.
-- Raises: nothing because of a single helper.
-- Locks: none.
create or replace function async.read_helper_results()
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_helper record;
  v_read record;
  v_came int := 0;
begin
  for v_helper in
    select h.* from pg_temp.leader_helper h
    where case when h.state in ('busy', 'stuck') then public.dblink_is_busy(h.conn) = 0 else false end
    order by h.helper
  loop
    v_read := async.read_results(v_helper.conn);
    -- An error or a row may arrive before the end of the query. It is processed now, because it
    -- does not arrive twice.
    continue when not (v_read.ended or v_helper.state = 'busy' and (v_read.code is not null or v_read.value is not null));
    v_came := v_came + 1;
    if v_helper.state = 'busy' then
      perform async.take_helper_result(v_helper.op, v_helper.target, v_helper.ids, v_read.value, v_read.error);
      if not v_read.ended then
        update pg_temp.leader_helper h set state = 'stuck' where h.helper = v_helper.helper;
        continue;
      end if;
    end if;
    if async.ends_session(v_read.code) then
      perform async.close_session(v_helper.conn);
      update pg_temp.leader_helper h set state = 'closed', replaced = false where h.helper = v_helper.helper;
    else
      update pg_temp.leader_helper h set state = 'idle', op = null, target = null, ids = null, replaced = false
      where h.helper = v_helper.helper;
    end if;
  end loop;

  return v_came;
end
$function$;
