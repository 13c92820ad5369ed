-- A look at the lanes reads few tasks of each, and more of a lane that is claimed from.
drop function if exists async.plan_claims(async.lane_t[], int, bigint[], timestamptz);
