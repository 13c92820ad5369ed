-- Purpose: what the names given to async.grant_client mean. SELF, in any case, and the name of the
--   self target are the server itself, unless a target is named just so. A client database does not
--   know the targets of its server, and keeps SELF as a name too.
-- Returns: async.scope_t; every target but the server itself for null.
-- Raises: PA081 for a name that is null or empty. A warning (PA083) for a target that is not
--   configured.
-- Locks: none.
create or replace function async.grantable_scope(in_targets text[]) returns async.scope_t
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_scope async.scope_t := row('{}', false)::async.scope_t;
  v_target text;
  v_is_server constant bool := not async.client_only();
  v_name text;
begin
  foreach v_target in array coalesce(in_targets, '{*}') loop
    if btrim(v_target, E' \t\n\r\f\x0b') <> '' is not true then
      raise exception 'a target to grant is %', case when v_target is null then 'null' else 'empty' end
        using errcode = 'PA081', hint = 'Name a target, SELF, or * for every target but SELF.';
    end if;
    v_name := v_target;
    if v_is_server then
      v_name := async.resolve_target(v_target);
      if v_name = (select c.self_target from async.control c) then
        v_scope.reaches_self := true;
        continue;
      elsif v_name <> '*' and not exists (select from async.target t where t.target = v_name) then
        raise warning 'the target % is granted, but not configured', quote_literal(v_name) using errcode = 'PA083';
      end if;
    elsif upper(v_target) = 'SELF' then
      v_scope.reaches_self := true;
    end if;
    v_scope.targets := v_scope.targets || v_name;
  end loop;
  v_scope.targets := array(select distinct u.target from unnest(v_scope.targets) as u(target) order by u.target);
  return v_scope;
end
$function$;
