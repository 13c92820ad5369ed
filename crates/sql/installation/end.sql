
-- Restores the search path and the lock timeout of the session.
do $end$
begin
  if current_setting('pgasync.installer_path', true) like '=%' then
    perform set_config('search_path', substr(current_setting('pgasync.installer_path'), 2), false);
  end if;
  if current_setting('pgasync.installer_lock_timeout', true) = '0' then
    perform set_config('lock_timeout', '0', false);
  end if;
  perform pg_catalog.set_config('pgasync.installer_lock_timeout', '', false),
    pg_catalog.set_config('pgasync.installer_path', '', false),
    pg_catalog.set_config('pgasync.installer_schemas', '', false);
end
$end$;
