-- Elections, and what is known of the servers where sessions were opened.

-- Every election of a leader. Epoch and nonce are part of the names of the leader's sessions at targets: a session with
-- an epoch and a nonce that are not here was opened by a copy of this server, or this server is the copy.
create table async.election (
  epoch bigint not null,
  nonce text not null,
  elected timestamptz not null default clock_timestamp(),
  -- The server that it took place on. The address is null behind a Unix socket; what may not be read is null.
  address text,
  port int,
  timeline int,
  system_identifier text,
  server_started timestamptz,
  -- By these it is another server than at the election before: the original of a copy, or the primary before a
  -- failover, may still use the sessions of older epochs.
  moved bool not null default false,
  constraint election_key primary key (epoch, nonce)
);

-- Up to now names had no nonce.
insert into async.election (epoch, nonce)
select l.epoch, '' from async.leader l union select s.epoch, '' from async.session s;

alter table async.session
  -- What the session's server said of itself; what may not be read is null, as are address and port behind a socket.
  add column server_started timestamptz,
  add column server_address text,
  add column server_port int,
  add column system_identifier text,
  add column timeline int,
  -- An operator says that it is gone, or that nothing is to wait for it any more.
  add column written_off bool not null default false,
  -- Since when it cannot be ended, and what the last attempt said, without passwords.
  add column lost_since timestamptz,
  add column lost_error text;

-- Have other arguments or results now.
drop function if exists async.raise_epoch(text);
drop function if exists async.end_sessions(bigint[], text);
