-- Makes an event of what came in by a hook, and uses up what tells it from others, such as the sender's id of it: both are
-- done or neither is. Answers the event; null where any of those was used before.
create or replace function webhooks.receive(hook uuid, deliveries text[], type text, data jsonb) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    used integer;
begin
    -- Always in this order: the sender may send it twice at once.
    insert into webhooks.received (hook_id, delivery)
    select hook, d from unnest(receive.deliveries) d order by d
    on conflict on constraint received_pkey do nothing;
    get diagnostics used = row_count;
    if used < cardinality(receive.deliveries) then
        return null;
    end if;
    update webhooks.hook h set received_at = now()
    where h.id = hook and (h.received_at is null or h.received_at < now() - interval '1 minute');
    return events.emit(array['hook:' || hook], receive.type, receive.data, subject => 'hook:' || hook);
end
$$;
grant execute on function webhooks.receive to gather_webhooks;
