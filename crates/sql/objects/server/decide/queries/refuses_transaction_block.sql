-- Purpose: whether Postgres refuses a statement in a transaction block, by its first words. Comments
--   between them have no meaning. A statement that this does not recognize fails at its target.
-- Returns: bool.
-- Raises: nothing.
-- Locks: none.
create or replace function async.refuses_transaction_block(in_statement text)
returns bool
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- The words that decide stand among the first tokens.
  c_tokens_max constant int := 100;
  c_alone constant text := E'^ (vacuum|discard)\\M|^ (create|drop) (database|tablespace|subscription)\\M'
    || E'|^ alter system\\M|^ alter table .* detach partition .*\\mconcurrently\\M'
    || E'|^ reindex( \\([^)]*\\))? (database|system|schema)\\M|^ reindex .*\\mconcurrently\\M'
    || E'|^ (create|drop)( unique)? index concurrently\\M|^ cluster( \\([^)]*\\)| verbose)?$';
  v_rest text := in_statement;
  v_length int;
  v_token text;
  v_words text := '';
begin
  for i in 1 .. c_tokens_max loop
    v_length := async.token_length(v_rest, true);
    exit when v_length = 0;
    v_token := left(v_rest, v_length);
    v_rest := substr(v_rest, v_length + 1);
    -- A name in quotes is not the keyword. Blanks and comments are dropped.
    v_words := v_words || case
      when v_token ~ E'^([ \\t\\n\\r\\f\\v]|--|/\\*)' then ''
      when v_token ~ '^(["$'']|[eE]'')' then ' "'
      when v_token = ')' then v_token
      else ' ' || lower(v_token)
    end;
  end loop;
  return v_words ~ c_alone;
end
$function$;
