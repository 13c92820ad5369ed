-- Purpose: a trigger on the tables with connection strings. If a row violates a constraint, Postgres
--   writes the whole row to the log of the server. The trigger checks the constraints first, and its
--   error names only the constraint.
-- Returns: the unchanged row.
-- Raises: not_null_violation, check_violation.
-- Locks: none.
create or replace function async.check_secret_row() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_row constant jsonb := to_jsonb(new);
  v_name text;
  v_constraint record;
  v_fits bool;
begin
  select a.attname into v_name
  from pg_attribute a
  where a.attrelid = tg_relid and a.attnotnull and not a.attisdropped and v_row -> a.attname = 'null'
  order by a.attnum
  limit 1;
  if found then
    raise exception '% of % must not be null', quote_ident(v_name), tg_relid::regclass
      using errcode = 'not_null_violation', column = v_name, table = tg_table_name, schema = tg_table_schema;
  end if;
  for v_constraint in
    select c.conname, pg_get_expr(c.conbin, c.conrelid) as condition
    from pg_constraint c
    where c.conrelid = tg_relid and c.contype = 'c'
    order by c.conname
  loop
    execute format('select (%s) is not false from jsonb_populate_record(null::%s, $1) r',
      v_constraint.condition, tg_relid::regclass)
    into v_fits
    using v_row;
    if not v_fits then
      raise exception 'a row of % violates the constraint %', tg_relid::regclass, quote_ident(v_constraint.conname)
        using errcode = 'check_violation', constraint = v_constraint.conname, table = tg_table_name,
          schema = tg_table_schema;
    end if;
  end loop;
  return new;
end
$function$;
