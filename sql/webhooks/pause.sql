-- The time to wait after a number of failures: longer each time, a fifth more by chance, and as the receiver wishes.
create or replace function webhooks.pause(failures integer, wish_ms bigint) returns interval
language sql volatile
as $$
    select greatest(
        least(interval '5 seconds' * power(4, least(pause.failures, 10) - 1), interval '4 hours') * (1 + random() / 5),
        least(coalesce(wish_ms, 0), 86400000) * interval '1 millisecond')
$$;
