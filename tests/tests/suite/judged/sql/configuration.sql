-- Configuration documents.

-- The configuration as its tables tell it.
create function judged.tables() returns jsonb language sql as $$
  select jsonb_build_object(
    'control', (
      -- What configure sets: async.set_trigger_search_path has its own tests.
      select to_jsonb(c) - array[
          'last_heavy_maintenance', 'last_light_maintenance', 'running_since', 'pid', 'version', 'trigger_search_path']
        || jsonb_build_object(
          'idle_sleep', round(c.idle_sleep::numeric * 1000000)::bigint,
          'busy_sleep', round(c.busy_sleep::numeric * 1000000)::bigint,
          'heavy_maintenance_sleep', judged.length(c.heavy_maintenance_sleep),
          'light_maintenance_sleep', judged.length(c.light_maintenance_sleep),
          'task_keep_duration', judged.length(c.task_keep_duration),
          'default_timeout', judged.length(c.default_timeout),
          'target_patience', judged.length(c.target_patience),
          'takeover_grace', judged.length(c.takeover_grace),
          'receipt_keep', judged.length(c.receipt_keep))
      from async.control c),
    'targets', (
      select jsonb_object_agg(t.target, to_jsonb(t) - 'target' || jsonb_build_object(
        'connection_string', coalesce(t.connection_string, ''), 'default_timeout', judged.length(t.default_timeout)))
      from async.target t),
    'pools', (
      select coalesce(jsonb_object_agg(p.concurrency_pool, to_jsonb(p) - 'concurrency_pool'
        || jsonb_build_object('interval', judged.length(p.interval))), '{}')
      from async.concurrency_pool p),
    'policies', (
      select coalesce(jsonb_object_agg(p.retry_policy, to_jsonb(p) - 'retry_policy' || jsonb_build_object(
        'delay', judged.length(p.delay), 'delay_max', judged.length(p.delay_max),
        'backoff', (p.backoff * 1000)::int, 'jitter', (p.jitter * 1000)::int)), '{}')
      from async.retry_policy p),
    'schedules', (
      select coalesce(jsonb_object_agg(s.schedule, to_jsonb(s) - 'schedule' - array(
          select k.out_key from async.configuration_keys() k where k.out_section = 'schedule' and k.out_kind = 'ignored')
        || jsonb_build_object('timeout', judged.length(s.timeout), 'expires_after', judged.length(s.expires_after))), '{}')
      from async.schedule s where s.configured))
$$;

-- What each document of each chain is refused with, or what it makes of the tables; nothing stays of any chain.
create function judged.configure(in_chains jsonb) returns jsonb language plpgsql as $$
declare
  v_chain jsonb;
  v_document jsonb;
  v_answer jsonb;
  v_all jsonb[] := '{}';
begin
  for v_chain in select d.it from jsonb_array_elements(in_chains) with ordinality as d(it, place) order by d.place
  loop
    v_answer := '[]';
    begin
      for v_document in select d.it from jsonb_array_elements(v_chain) with ordinality as d(it, place) order by d.place
      loop
        begin
          perform async.configure(v_document);
          v_answer := v_answer || jsonb_build_array(judged.tables());
        exception
          when sqlstate 'PA060' then v_answer := v_answer || to_jsonb(sqlerrm);
        end;
      end loop;
      raise exception 'undo' using errcode = 'PA999';
    exception
      when sqlstate 'PA999' then v_all := v_all || v_answer;
    end;
  end loop;
  return to_jsonb(v_all);
end
$$;
