-- A target database: the tables of pgbench at a small scale, a roll-up to fill, and a procedure that
-- commits several times.
create table pgbench_branches (bid int primary key, bbalance bigint not null default 0);
create table pgbench_tellers (tid int primary key, bid int not null, tbalance bigint not null default 0);
create table pgbench_accounts (aid int primary key, bid int not null, abalance bigint not null default 0, filler text);
create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamptz not null default clock_timestamp());

insert into pgbench_branches (bid) select b from generate_series(1, 10) as b;
insert into pgbench_tellers (tid, bid) select t, 1 + t % 10 from generate_series(1, 100) as t;
insert into pgbench_accounts (aid, bid, filler)
select a, 1 + a % 10, repeat('x', 80) from generate_series(1, 20000) as a;

create table account_rollup (
    bid int not null, bucket int not null, accounts bigint not null, balance numeric not null, primary key (bid, bucket));
create table settlement (bid int not null, step int not null, settled timestamptz not null default clock_timestamp());

create procedure settle(in_bid int) language plpgsql as $$
begin
    for v_step in 1 .. 5 loop
        insert into settlement (bid, step) values (in_bid, v_step);
        commit;
    end loop;
end
$$;
