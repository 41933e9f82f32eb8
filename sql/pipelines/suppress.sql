-- Notes that an event did not start a trigger's run, since that would go on and on. `events.start` calls it.
create or replace function pipelines.suppress(argument jsonb, event events.event, why text) returns void
language plpgsql
as $$
declare
    t pipelines.trigger;
begin
    select o.* into t from pipelines.trigger o where o.id = (argument ->> 'trigger')::uuid;
    if not found then
        return;
    end if;
    insert into pipelines.trigger_firing (trigger_id, event_id, status, reason)
    values (t.id, (suppress.event).id, 'suppressed', suppress.why)
    on conflict on constraint trigger_firing_event do nothing;
    -- An event about a suppression must not lead to another one.
    if found and (suppress.event).type <> 'trigger.suppressed' then
        insert into events.event (topic, type, data, cause, depth)
        values ('pipeline:' || t.pipeline_id, 'trigger.suppressed', jsonb_build_object('trigger', t.id,
            'event', (suppress.event).id, 'reason', suppress.why), (suppress.event).id, (suppress.event).depth);
    end if;
end
$$;
