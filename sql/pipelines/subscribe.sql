-- Has a trigger's runs started by events, or not any more if it is disabled.
create or replace function pipelines.subscribe(trigger uuid) returns void
language plpgsql
as $$
declare
    t pipelines.trigger;
begin
    select o.* into t from pipelines.trigger o where o.id = subscribe.trigger for update;
    if t.kind <> 'event' then
        return;
    elsif not t.enabled then
        perform events.unsubscribe(t.subscription);
        update pipelines.trigger o set subscription = null where o.id = t.id;
    else
        update pipelines.trigger o set subscription = events.subscribe(t.owner_id, 'trigger:' || t.id,
            case when t.topic is not null then array[t.topic] end, array[t.type], null, 'pipeline-run',
            jsonb_build_object('trigger', t.id))
        where o.id = t.id;
    end if;
end
$$;
