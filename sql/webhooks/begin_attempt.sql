-- What a job of `webhook-delivery` has to do, by its payload: {"send": {…}}, {"wait_ms"} while the receiver is given
-- time, or {} where there is nothing to send any more. The right of the webhook's owner to what is told counts at this
-- moment.
create or replace function webhooks.begin_attempt(payload jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    d webhooks.delivery;
    w webhooks.webhook;
    event jsonb;
    why text;
begin
    if payload ? 'event' then
        insert into webhooks.delivery (webhook_id, event, event_id, type, topic)
        select h.id, payload -> 'event', (payload #>> '{event,id}')::uuid, payload #>> '{event,type}',
            payload #>> '{event,topic}'
        from webhooks.webhook h where h.id = (payload #>> '{argument,webhook}')::uuid
        on conflict on constraint delivery_event_key do nothing;
    end if;
    select e.* into d from webhooks.delivery e
    where e.id = (payload ->> 'delivery')::uuid
    or (e.webhook_id = (payload #>> '{argument,webhook}')::uuid and e.event_id = (payload #>> '{event,id}')::uuid)
    for update;
    if not found or d.state <> 'waiting' then
        return '{}';
    end if;
    select h.* into w from webhooks.webhook h where h.id = d.webhook_id;
    if d.event is not null then
        event := events.find(d.event);
    end if;
    why := case
        when w.disabled is not null then 'The webhook is disabled.'
        when not exists (select from identity.account a where a.id = w.owner_id and a.status = 'active')
            then 'The webhook''s owner is not active.'
        when d.event is not null and event is null then 'The event is not kept any more.'
        when d.event is not null and not (events.may_read(w.owner_id, case when d.topic = any (w.topics) then d.topic else 'all:all' end)
            and coalesce(event -> 'audience' = 'null' or event -> 'audience' ? w.owner_id::text, false))
            then 'The webhook''s owner may not read the topic any more.'
        when d.expires_at < now() then 'It did not arrive within a day.'
    end;
    if why is not null then
        perform webhooks.end_delivery(d.id, why);
        return '{}';
    end if;
    if w.retry_at > clock_timestamp() then
        return jsonb_build_object('wait_ms', ceil(extract(epoch from w.retry_at - clock_timestamp()) * 1000)::bigint);
    end if;
    update webhooks.delivery e set attempts = e.attempts + 1, attempted_at = clock_timestamp() where e.id = d.id;
    return jsonb_build_object('send', jsonb_build_object('delivery', d.id, 'webhook', w.id, 'url', w.url,
        'versions', (select jsonb_agg(s.version order by s.version desc) from webhooks.secret s
            where s.webhook_id = w.id and (s.until is null or s.until > now())),
        'body', case when d.event is null
            then jsonb_build_object('type', d.type, 'timestamp', d.created_at, 'data', jsonb_build_object('webhook', w.id))
            else jsonb_build_object('id', event -> 'id', 'type', event -> 'type', 'topic', event -> 'topic',
                'timestamp', event -> 'created_at', 'actor', event -> 'actor', 'data', event -> 'data')
            end::text));
end
$$;
grant execute on function webhooks.begin_attempt to gather_webhook_delivery;
