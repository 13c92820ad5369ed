-- The times of a schedule, as async.parse_when reads them.
create type async.cron_t as (
  seconds int[],
  minutes int[],
  hours int[],
  days int[],
  months int[],
  -- 0 is Sunday.
  weekdays int[],
  -- The last day of the month, and the last such weekdays.
  last_day bool,
  last_weekdays int[],
  -- A day that one of the two fields of days matches, rather than both.
  either_day bool,
  -- Neither minute nor hour has a *.
  fixed bool,
  -- An interval instead of fields.
  every interval
);
