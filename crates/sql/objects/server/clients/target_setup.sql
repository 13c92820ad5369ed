-- Purpose: the SQL that a target needs for tasks with receipts, for the administrator of its database.
--   Nothing is created by itself. For the owner and administrators.
-- Returns: text; to be run in the database of the target.
-- Raises: PA011 for an unknown target.
-- Locks: none.
create or replace function async.target_setup(_target text) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_setup constant text := $setup$-- Receipts of pgasync for the target %1$s. Run this in its database. It may be run again.
create schema if not exists pgasync;
create table if not exists pgasync.receipt (
  server_id text not null,
  election text not null,
  task_id bigint not null,
  run int not null,
  -- The run was lost: its query had no effect, and can have none.
  voided bool not null default false,
  written timestamptz not null default clock_timestamp(),
  primary key (server_id, election, task_id, run)
);
comment on table pgasync.receipt is
  'Tasks of pgasync whose queries have committed here, or never will (voided). pgasync deletes the rows.';
%2$sgrant usage on schema pgasync to %3$s;
%2$sgrant select, insert, update, delete on pgasync.receipt to %3$s;
$setup$;
  v_target async.target;
  v_role text;
begin
  select t.* into v_target
  from async.target t cross join async.control c
  where t.target = _target or upper(_target) = 'SELF' and t.target = c.self_target
  order by t.target <> _target
  limit 1;
  if not found then
    raise exception 'there is no target %', coalesce(quote_literal(_target), 'null')
      using errcode = 'PA011', hint = 'async.set_target adds targets; async.v_target lists them.';
  end if;
  v_role := async.parse_conninfo(v_target.connection_string) ->> 'user';
  return format(c_setup, async.visible_text(v_target.target),
    case when v_role is null then '-- The connection string names no role: ' else '' end,
    coalesce(quote_ident(v_role), 'ROLE'));
end
$function$;
