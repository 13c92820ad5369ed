
do $migration_table$
begin
  if to_regclass('async.migration') is null then
    create table async.migration (
      migration text primary key,
      applied timestamptz not null default clock_timestamp()
    );
  end if;
end
$migration_table$;
