-- Purpose: the targets that a caller may use, of those in in_within (null: any). The caller is the
--   role that read the ticket from async.caller in this transaction. The owner of the schema needs no
--   grant (async.granted_scope).
-- Returns: async.scope_t, without nulls.
-- Raises: 42501 when the ticket is not that of the caller.
-- Locks: none.
create or replace function async.scope_of(in_caller name, in_ticket bytea, in_within async.scope_t)
returns async.scope_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t;
  v_is_owner bool;
begin
  -- The same expression as in async.caller.
  select pg_has_role(in_caller, n.nspowner, 'usage') into v_is_owner
  from async.caller_key k
  cross join pg_namespace n
  where n.nspname = 'async'
    and in_ticket = sha256(int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
      || convert_to(in_caller::text, getdatabaseencoding()) || k.secret);
  if not found then
    raise exception 'this call was not made for the role %', coalesce(quote_ident(in_caller), 'null')
      using errcode = 'insufficient_privilege', hint = 'Use the functions that docs/using.md names.';
  end if;
  if v_is_owner then
    return coalesce(in_within, row('{*}', true)::async.scope_t);
  end if;
  v_scope := async.granted_scope(in_caller);
  if in_within is null then
    return v_scope;
  end if;
  if '*' = any (in_within.targets) then
    null;
  elsif '*' = any (v_scope.targets) then
    v_scope.targets := in_within.targets;
  else
    v_scope.targets := array(
      select u.target from unnest(v_scope.targets) as u(target) where u.target = any (in_within.targets)
      order by u.target);
  end if;
  v_scope.targets := coalesce(v_scope.targets, '{}');
  v_scope.reaches_self := v_scope.reaches_self and coalesce(in_within.reaches_self, false);
  return v_scope;
end
$function$;
