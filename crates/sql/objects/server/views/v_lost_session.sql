-- Sessions at targets that must be gone before their tasks are resolved, and that cannot be ended:
-- since when, and the error of the last attempt. async.write_off_session(session_id) removes those
-- that are known to be gone.
create or replace view async.v_lost_session as
select s.session_id, s.target, s.pid, s.epoch, s.lost_since as since, s.lost_error as error
from async.session s
where s.lost_since is not null and not s.written_off and not s.settled
order by s.session_id;
