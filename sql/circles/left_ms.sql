-- The milliseconds that are left of a turn's time; null if that has no end.
create or replace function circles.left_ms(t circles.turn) returns bigint
language sql stable
as $$
    select greatest(0, ceil(extract(epoch from t.deadline_at - clock_timestamp()) * 1000)::bigint)
$$;
