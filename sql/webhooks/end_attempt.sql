-- Writes down how an attempt went: the answer's status and head, or why there was none. Answers after how many ms to
-- try again; null: never.
--
-- A delivery is tried after 5 s, 20 s, and so on up to every 4 h, for a day, and not before the receiver wants it. A
-- receiver that does not answer, or has too much to do or a fault of its own, is given that time by all deliveries.
-- One that answers 410, or has taken nothing for a day, is sent nothing any more.
create or replace function webhooks.end_attempt(
    delivery uuid,
    status integer,
    reply text,
    error text,
    duration_ms integer,
    retry_after_ms bigint
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    d webhooks.delivery;
    w webhooks.webhook;
    arrived boolean := coalesce(status between 200 and 299, false);
    pause interval;
    next timestamptz;
begin
    select h.* into w from webhooks.webhook h
    where h.id = (select e.webhook_id from webhooks.delivery e where e.id = end_attempt.delivery) for update;
    if not found then
        return null;
    end if;
    update webhooks.delivery e
    set status = end_attempt.status, reply = left(end_attempt.reply, 1000), error = left(end_attempt.error, 300),
        duration_ms = end_attempt.duration_ms,
        state = case when arrived then 'delivered' else e.state end,
        ended_at = case when arrived then clock_timestamp() end
    where e.id = end_attempt.delivery and e.state = 'waiting'
    returning * into d;
    if not found then
        return null;
    end if;
    insert into webhooks.attempt_count (result) values (case
        when arrived then 'delivered'
        when end_attempt.status = 410 then 'gone'
        when end_attempt.status is not null then 'refused'
        else 'unanswered' end);
    if arrived then
        update webhooks.webhook h set failing_since = null, failures = 0, retry_at = null
        where h.id = w.id and h.failures > 0;
        return null;
    end if;
    if end_attempt.status = 410 then
        perform webhooks.end_delivery(d.id, null);
        perform webhooks.disable(w, 'gone');
        return null;
    end if;

    pause := webhooks.pause(d.attempts, retry_after_ms);
    if end_attempt.status is null or end_attempt.status in (408, 429) or end_attempt.status >= 500 then
        next := clock_timestamp() + webhooks.pause(w.failures + 1, retry_after_ms);
        update webhooks.webhook h
        set failures = h.failures + 1, failing_since = coalesce(h.failing_since, clock_timestamp()), retry_at = next
        where h.id = w.id;
        if w.failing_since < clock_timestamp() - interval '1 day' then
            perform webhooks.end_delivery(d.id, d.error);
            perform webhooks.disable(w, 'failing');
            return null;
        end if;
    end if;
    if clock_timestamp() + pause > d.expires_at then
        perform webhooks.end_delivery(d.id, d.error);
        perform webhooks.note(w);
        return null;
    end if;
    return ceil(extract(epoch from pause) * 1000)::bigint;
end
$$;
grant execute on function webhooks.end_attempt to gather_webhook_delivery;
