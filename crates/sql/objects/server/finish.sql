-- The last step of every part.
do $finish$
begin
  perform async.bind_dblink();
  perform async.guard_secret_rows();
  perform async.restore_privileges();
  update async.control set version = '@VERSION@' where version <> '@VERSION@';
  perform async.bind_trigger_path(
    coalesce(nullif(current_setting('pgasync.installer_schemas', true), ''), '{}')::text[]);
end
$finish$;
