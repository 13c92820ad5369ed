-- async.tail takes a third argument.
drop procedure if exists async.tail(text, int);
