-- No task of a paused target or pool starts. A state of the operation, which a document that does not name it
-- leaves as it is.
alter table async.target add column paused bool not null default false;
alter table async.concurrency_pool add column paused bool not null default false;
