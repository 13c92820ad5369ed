-- Purpose: pushes tasks of which some have unique keys. A key may become free, or taken again, between
--   two statements, so what was neither inserted nor answered is tried again. A task that is replaced
--   by another push meanwhile is replaced there, so each round has seen a commit of another push, a
--   start or an end.
-- Returns: as async.push_many.
-- Raises: PA01G, PA01H, and as async.insert_pushed and async.cancel_replaced.
-- Locks: as async.insert_pushed and async.cancel_replaced.
create or replace function async.push_unique(
  in_caller name,
  in_scope async.scope_t,
  in_ids bigint[],
  in_tasks async.task_push_t[],
  in_options async.push_options_t[]) returns table (task_id bigint, duplicate bool)
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_self constant text := (select c.self_target from async.control c);
  -- Rounds in which no other task had a key that was left. More of them are no coincidence.
  c_futile_rounds_max constant int := 20;
  v_futile_rounds int := 0;
  v_answers bigint[] := in_ids;
  -- The tasks that are to be inserted again, the position of the first, and the tasks that they replace.
  v_ids bigint[];
  v_tasks async.task_push_t[];
  v_options async.push_options_t[];
  v_first int;
  v_replaced bigint[];
  v_before bigint[] := '{}';
  v_conflict record;
  v_option async.push_options_t;
  v_again bool;
begin
  perform async.insert_pushed(in_caller, in_scope, in_ids, in_tasks, in_options);
  while v_futile_rounds < c_futile_rounds_max loop
    v_ids := '{}';
    v_tasks := '{}';
    v_options := '{}';
    v_replaced := '{}';
    for v_conflict in
      select k.place, k.holder, k.waits from async.key_holders(in_ids, in_tasks, in_options, v_self) k
      where v_answers[k.place] = in_ids[k.place]
      order by k.place
    loop
      v_option := in_options[v_conflict.place];
      v_again := false;
      if v_option.unique_key is null then
        -- A trigger kept the row out.
        v_answers[v_conflict.place] := null;
      elsif v_conflict.holder is null then
        v_again := true;
      elsif v_option.on_conflict = 'error' then
        raise exception 'task %: task % at % has the unique key %', v_conflict.place, v_conflict.holder,
            quote_literal(in_tasks[v_conflict.place].target), quote_literal(v_option.unique_key)
          using errcode = 'PA01G', hint = 'Nothing was pushed. on_conflict can be skip or replace instead.';
      elsif v_option.on_conflict = 'replace' and v_conflict.waits
        -- Not a task of this push. The ids are in order.
        and in_ids[width_bucket(v_conflict.holder, in_ids)] is distinct from v_conflict.holder
        -- It could not be canceled.
        and v_conflict.holder <> all (v_before)
      then
        v_again := true;
        v_replaced := v_replaced || v_conflict.holder;
      else
        v_answers[v_conflict.place] := v_conflict.holder;
      end if;
      if v_again then
        v_first := case when v_ids = '{}' then v_conflict.place else v_first end;
        v_ids := v_ids || in_ids[v_conflict.place];
        v_tasks := v_tasks || in_tasks[v_conflict.place];
        v_options := v_options || v_option;
      end if;
    end loop;
    if v_ids = '{}' then
      return query
        select a.id, a.id <> in_ids[a.place]
        from unnest(v_answers) with ordinality as a(id, place)
        order by a.place;
      return;
    end if;
    v_futile_rounds := case when v_replaced = '{}' then v_futile_rounds + 1 else 0 end;
    perform async.cancel_replaced(v_replaced);
    v_before := v_before || v_replaced;
    perform async.insert_pushed(in_caller, in_scope, v_ids, v_tasks, v_options);
  end loop;
  raise exception 'task %: could not be inserted, although no other task has its unique key %', v_first,
      quote_literal(v_options[1].unique_key)
    using errcode = 'PA01H', hint = 'Other tasks take and free the key all the time, or a trigger keeps the row out.';
end
$function$;
