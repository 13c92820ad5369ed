-- The transaction that made the task READY. Null for tasks from before this column.
alter table async.task add column arrived bigint;
alter table async.task alter column arrived set default pg_catalog.txid_current();
