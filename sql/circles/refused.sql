-- The reasons why a function of this schema did nothing, as the handlers know them.
create or replace function circles.refused(why text, wait_ms bigint default null) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('refused', why, 'wait_ms', wait_ms)
$$;
