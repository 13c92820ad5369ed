-- The last step of every part.
do $finish$
begin
  perform async.bind_dblink();
  perform async.restore_privileges();
end
$finish$;
