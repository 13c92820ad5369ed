-- Objects in public whose arguments match better than those of pg_catalog, for all types that our statements use:
-- Postgres prefers them wherever public is on the search path. Run by a role that may create there.
-- Not trapped by what it makes.
set search_path = pg_catalog;
create sequence public.trapped;
grant all on sequence public.trapped to public;

do $traps$
declare
  c_types constant text[] := '{text,name,varchar,int8,int4,bool,timestamptz,interval,jsonb,float8,numeric,oid}';
  c_arrays constant text[] := '{text[],int8[],int4[],interval[],timestamptz[],bool[],name[]}';
  c_operators constant text[] := '{=,<>,<,>,<=,>=,+,-,*,/,%,||,~,!~,~~,->,->>,#>>,?,?|,@>}';
  v_left text;
  v_right text;
  v_operator text;
  v_name text;
  v_body constant text := $body$ language plpgsql as 'begin perform pg_catalog.nextval(''public.trapped'');
    raise warning ''trapped''; return null; end' $body$;
begin
  foreach v_left in array c_types || c_arrays loop
    foreach v_right in array c_types || c_arrays loop
      execute format('create function public.trap(%s, %s) returns bool %s', v_left, v_right, v_body);
      foreach v_operator in array c_operators loop
        execute format('create operator public.%s (leftarg = %s, rightarg = %s, procedure = public.trap)',
          v_operator, v_left, v_right);
      end loop;
    end loop;
  end loop;

  -- Every function of pg_catalog that takes any type, or any array: with each type, and two of them.
  for v_name in
    select distinct p.proname::text
    from pg_catalog.pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and p.proname in ('array_agg', 'array_append', 'array_cat', 'array_fill', 'array_length', 'array_position',
        'array_remove', 'array_to_string', 'cardinality', 'concat', 'concat_ws', 'count', 'format', 'json_build_array',
        'jsonb_agg', 'jsonb_build_object', 'jsonb_populate_record', 'max', 'min', 'quote_literal', 'to_jsonb', 'unnest')
    order by 1
  loop
    foreach v_left in array c_types || c_arrays loop
      execute format('create function public.%I(%s) returns bool %s', v_name, v_left, v_body);
      foreach v_right in array c_types || c_arrays loop
        execute format('create function public.%I(%s, %s) returns bool %s', v_name, v_left, v_right, v_body);
        if v_name in ('format', 'concat_ws', 'array_fill') then
          execute format('create function public.%I(%s, %s, text) returns bool %s', v_name, v_left, v_right, v_body);
        end if;
      end loop;
    end loop;
  end loop;
end
$traps$;

-- The same names as dblink's, in the schema of dblink, with other types of texts.
create function public.dblink_send_query(text, varchar) returns int language plpgsql as
  'begin perform pg_catalog.nextval(''public.trapped''); return 0; end';
create function public.dblink_send_query(name, text) returns int language plpgsql as
  'begin perform pg_catalog.nextval(''public.trapped''); return 0; end';
create function public.dblink_connect(varchar, text) returns text language plpgsql as
  'begin perform pg_catalog.nextval(''public.trapped''); return null; end';
