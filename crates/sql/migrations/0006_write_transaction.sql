-- Functions whose arguments differ now.
drop function if exists
  async.write_all(bigint[], int[], timestamptz[], interval[], bigint[], int[], timestamptz[], async.event_t[], bool,
    bool);
