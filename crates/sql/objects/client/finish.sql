-- The last step of every part.
do $finish$
begin
  perform async.bind_dblink();
  perform async.guard_secret_rows();
  perform async.restore_privileges();
  update async.client_control set version = '@VERSION@' where version <> '@VERSION@';
  -- On a server, whose functions of the client part were replaced just now.
  if to_regprocedure('async.bind_trigger_path(text[])') is not null then
    perform async.bind_trigger_path('{}');
  end if;
end
$finish$;
