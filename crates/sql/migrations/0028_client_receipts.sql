-- The query writes a receipt at its target. Null for other tasks.
alter table async.task add column receipt bool;
alter type async.push_options_t add attribute receipt bool;

-- They have another argument.
drop function if exists
  async.push(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text, text, bool),
  async.push_each(text, text[], int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text,
    text, bool);
drop procedure if exists
  async.run(text, text, int, text, interval, jsonb, bool, text, timestamptz, timestamptz, text, text, text, text, bool,
    jsonb);
