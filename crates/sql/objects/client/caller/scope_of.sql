-- Purpose: the targets that a caller may use, of those in in_within. The caller is the role that
--   read the ticket from async.caller in this transaction. A grant counts for the roles that have
--   the privileges of its grantee, as EXECUTE does. The owner of the schema needs none.
-- Returns: async.scope_t, without nulls.
-- Raises: 42501 when the ticket is not the caller's. Locks: none.
create or replace function async.scope_of(in_caller name, in_ticket bytea, in_within async.scope_t)
returns async.scope_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t;
begin
  -- The same expression as in async.caller.
  if (in_ticket = (
    select sha256(int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
      || convert_to(in_caller::text, getdatabaseencoding()) || k.secret)
    from async.caller_key k)) is not true
  then
    raise exception 'this call was not made for the role %', coalesce(quote_ident(in_caller), 'null')
      using errcode = 'insufficient_privilege', hint = 'Use the functions that docs/using.md names.';
  end if;
  if async.is_owner(in_caller) then
    return coalesce(in_within, row('{*}', true)::async.scope_t);
  end if;
  select array(
      select distinct u.target
      from async.role_grant g
      cross join unnest(g.targets) as u(target)
      where pg_has_role(in_caller, g.grantee::oid, 'usage')
      order by u.target),
    exists (
      select from async.role_grant g where g.reaches_self and pg_has_role(in_caller, g.grantee::oid, 'usage'))
  into v_scope;
  if in_within is null or '*' = any (in_within.targets) then
    null;
  elsif '*' = any (v_scope.targets) then
    v_scope.targets := in_within.targets;
  else
    v_scope.targets := array(
      select u.target from unnest(v_scope.targets) as u(target) where u.target = any (in_within.targets)
      order by u.target);
  end if;
  v_scope.reaches_self := v_scope.reaches_self and coalesce(in_within.reaches_self, in_within is null);
  return v_scope;
end
$function$;
