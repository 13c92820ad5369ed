-- Purpose: whether one of the names of a retry policy stands for a SQLSTATE: the code itself, its
--   class (the first two characters), any, or transient (class 08, class 40 but 40003, class 53,
--   55P03, 57P01 to 57P03, and PA216, a lost run whose receipt was voided).
-- Returns: bool; false without a SQLSTATE.
-- Raises: nothing. Locks: none.
create or replace function async.is_retried_sqlstate(in_sqlstates jsonb, in_sqlstate text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return in_sqlstate is not null and coalesce(
    in_sqlstates ? in_sqlstate or in_sqlstates ? left(in_sqlstate, 2) or in_sqlstates ? 'any'
      or in_sqlstates ? 'transient'
        and (left(in_sqlstate, 2) in ('08', '40', '53') and in_sqlstate <> '40003'
          or in_sqlstate in ('55P03', '57P01', '57P02', '57P03', 'PA216')),
    false);
end
$function$;
