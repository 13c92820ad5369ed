-- Purpose: raises the error of the first options of a push that cannot be.
-- Returns: nothing, if all can be.
-- Raises: PA01C for a source that is too long, PA01E for times, PA01F for a unique key, PA01K for a
--   query whose rows cannot be kept, and PA01L for one that can have no receipt.
-- Locks: none.
create or replace function async.refuse_options(
  in_tasks async.task_push_t[], in_options async.push_options_t[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  o record;
  v_why text;
begin
  for o in
    select p.*, p.ordinality as place
    from rows from (unnest(in_tasks), unnest(in_options)) with ordinality p
    order by p.ordinality
  loop
    if octet_length(o.source) > async.name_bytes_max() then
      raise exception 'task %.source: is too long (% bytes)', o.place, octet_length(o.source)
        using errcode = 'PA01C', hint = format('It may have %s bytes.', async.name_bytes_max());
    elsif not isfinite(o.run_at) or not isfinite(o.expires_at) then
      raise exception 'task %.%: must be finite, and is %', o.place,
          case when isfinite(o.run_at) is false then 'run_at' else 'expires_at' end,
          case when isfinite(o.run_at) is false then o.run_at else o.expires_at end
        using errcode = 'PA01E', hint = 'Leave it out for a task without it.';
    elsif o.expires_at <= o.run_at then
      raise exception 'task %.expires_at: % is not after run_at, %', o.place, o.expires_at, o.run_at
        using errcode = 'PA01E', hint = 'The task could never run. Let it expire after run_at.';
    elsif o.unique_key is null and (o.unique_while is not null or o.on_conflict is not null) then
      raise exception 'task %.%: is given without unique_key', o.place,
          case when o.unique_while is not null then 'unique_while' else 'on_conflict' end
        using errcode = 'PA01F', hint = 'Give a unique_key as well, or leave it out.';
    elsif octet_length(o.unique_key) > async.unique_key_bytes_max() then
      raise exception 'task %.unique_key: is too long (% bytes)', o.place, octet_length(o.unique_key)
        using errcode = 'PA01F', hint = format('It may have %s bytes; take a hash.', async.unique_key_bytes_max());
    elsif o.unique_while not in ('unfinished', 'waiting') then
      raise exception 'task %.unique_while: must be unfinished or waiting, not %', o.place,
          quote_literal(left(o.unique_while, 100))
        using errcode = 'PA01F', hint = 'unfinished: until the task ends. waiting: until its first start.';
    elsif o.on_conflict not in ('skip', 'error', 'replace') then
      raise exception 'task %.on_conflict: must be skip, error or replace, not %', o.place,
          quote_literal(left(o.on_conflict, 100))
        using errcode = 'PA01F', hint = 'It says what happens if another task has the unique key.';
    end if;
    if o.receipt then
      v_why := async.refuse_receipt(o.query);
      if v_why is not null then
        raise exception 'task %.receipt: its query %, so it can have no receipt', o.place, v_why
          using errcode = 'PA01L', hint = 'A receipt needs a query that is one transaction: without transaction control, and '
            'without statements that cannot run in a transaction block.';
      end if;
    end if;
    if o.keep_result then
      v_why := case when o.query is null then 'is missing' else (async.classify_kept(o.query)).refused end;
      if v_why is not null then
        raise exception 'task %.keep_result: its query %, so its rows cannot be kept', o.place, v_why
          using errcode = 'PA01K', hint = 'Rows are kept of one statement that can run in a transaction block. '
            'Push the others without keep_result.';
      end if;
    end if;
  end loop;
end
$function$;
