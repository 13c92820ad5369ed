-- The search path of the installation, so that no object of another role is found in place of one of pg_catalog. The
-- end of the file restores the search path of the session. ('=' marks a saved path, which may be empty.)
do $begin$
begin
  if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp' then
    perform pg_catalog.set_config('pgasync.installer_path',
      '=' operator(pg_catalog.||) pg_catalog.current_setting('search_path'), false);
    perform pg_catalog.set_config('pgasync.installer_schemas',
      pg_catalog.current_schemas(false)::pg_catalog.text, false);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false);
  end if;
  -- While a statement waits for a lock, later calls of clients wait behind it. A timeout of the session counts.
  if pg_catalog.current_setting('lock_timeout') operator(pg_catalog.=) '0' then
    perform pg_catalog.set_config('pgasync.installer_lock_timeout', '0', false);
    perform pg_catalog.set_config('lock_timeout', '2s', false);
  end if;
end
$begin$;
