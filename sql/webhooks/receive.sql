-- Makes an event of what came in by a hook, and uses up what tells it from others, such as the sender's id of it: both
-- are done or neither is. Answers the event; null where any of those was used before, or the source wants no event of
-- it.
--   type     null: the source's function names it by the request's headers and its content
--   data     the event's; what was cut in it is whole in `content`
create or replace function webhooks.receive(
    hook uuid,
    deliveries text[],
    type text,
    data jsonb,
    headers jsonb default null,
    content jsonb default null
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    used integer;
    source webhooks.source;
    name text := 'received';
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
    if receive.type is null then
        select s.* into source from webhooks.source s join webhooks.hook h on h.source = s.name where h.id = hook;
        if source.function is not null then
            execute format('select %s($1, $2)', source.function)
            into name using receive.headers, coalesce(receive.content, receive.data -> 'payload');
            if name is null then
                return null;
            end if;
        end if;
        if name !~ '^[a-z][a-z0-9]*([.-][a-z][a-z0-9]*)*$' or char_length(name) > 50 then
            name := 'other';
        end if;
    end if;
    return events.emit(array['hook:' || hook], coalesce(receive.type, 'hook.' || source.name || '.' || name), receive.data,
        subject => 'hook:' || hook);
end
$$;
grant execute on function webhooks.receive to gather_webhooks;
