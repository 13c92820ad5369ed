
-- The session's own search path.
do $end$
begin
  perform set_config('search_path', p.path, false)
  from (select nullif(current_setting('pgasync.installer_path', true), '') as path) p
  where p.path is not null;
end
$end$;
