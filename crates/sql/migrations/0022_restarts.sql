-- A restart takes several tasks.
drop function if exists
  async.restart_now(name, async.scope_t, bigint),
  async.prepare_restart(name, async.scope_t, bigint),
  async.restrict_restarted(bigint, bool);
