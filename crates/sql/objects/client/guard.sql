-- Prerequisites of the client part. Each error has a hint with the remedy.
do $guard$
begin
  if current_setting('server_version_num')::int < 110000 then
    raise exception 'pgasync needs Postgres 11 or later, this server is %', current_setting('server_version')
      using errcode = 'feature_not_supported';
  end if;
  if not exists (select from pg_catalog.pg_extension where extname = 'dblink') then
    begin
      -- Where the installer's own search path would have put it.
      execute format('create extension dblink schema %I', coalesce((
        select s.name
        from unnest(nullif(current_setting('pgasync.installer_schemas', true), '')::text[])
          with ordinality as s(name, position)
        where has_schema_privilege(s.name, 'create')
        order by s.position
        limit 1), 'public'));
    exception
      when insufficient_privilege then
        raise exception 'pgasync needs the extension dblink in this database, and % may not create it',
          current_user
          using errcode = 'insufficient_privilege',
                hint = 'Ask a superuser to run: create extension dblink';
      when undefined_file or feature_not_supported then
        raise exception 'pgasync needs the extension dblink, which this server does not have'
          using errcode = 'feature_not_supported',
                hint = 'Install Postgres'' contrib modules (Debian: postgresql-contrib), then try again';
    end;
  end if;
  if not exists (select from pg_catalog.pg_namespace where nspname = 'async') then
    create schema async;
  elsif not pg_catalog.pg_has_role(
      (select nspowner from pg_catalog.pg_namespace where nspname = 'async'), 'usage') then
    raise exception 'the schema async belongs to another role, % cannot install pgasync into it', current_user
      using errcode = 'insufficient_privilege',
            hint = 'Run this as the owner of the schema async';
  end if;
end
$guard$;
