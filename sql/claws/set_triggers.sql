-- Lets the events and times of a claw's triggers wake it, instead of those before. Events that the claw may not read wake it
-- never; a topic that it may not read is refused by the constraint claw_topic.
--   schedules  of each time: {trigger, prompt, times, due, next}, as `pipelines.put_schedule` takes them
create or replace function claws.set_triggers(claw uuid, triggers jsonb, schedules jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    one jsonb;
    number bigint;
begin
    select x.* into c from claws.claw x where x.id = claw;
    perform events.unsubscribe(s.id) from events.subscription s
    where s.role = session_user and s.name in (select format('claw:%s:%s', claw, n) from generate_series(1, 20) n);
    for one, number in select t.value, t.ordinality from jsonb_array_elements(triggers) with ordinality t loop
        continue when one ->> 'on' <> 'event';
        if one ->> 'topic' is not null and not events.may_read(claw, one ->> 'topic') then
            perform identity.refuse('claw_topic');
        end if;
        perform events.subscribe(claw, format('claw:%s:%s', claw, number),
            case when one ->> 'topic' is not null then array[one ->> 'topic'] end,
            case when one ->> 'type' is not null then array[one ->> 'type'] end,
            null, 'claw-provision', jsonb_build_object('woken', claw, 'prompt', one -> 'prompt'), 'claw-events:' || claw);
    end loop;
    perform pipelines.delete_schedule(c.owner_id, s) from unnest(c.schedules) s;
    update claws.claw x set schedules = array(
        select pipelines.put_schedule(c.owner_id, null, jsonb_build_object(
                'name', 'Claw ' || a.name, 'times', s -> 'times', 'overlap', 'skip', 'catch_up_max', 1,
                'catch_up_within_ms', 86400000, 'pause_after_failures', 10, 'scopes', 'chat:create',
                'action', jsonb_build_object('type', 'call_api', 'method', 'POST',
                    'url', format('/api/claws/%s/messages', claw), 'headers', null,
                    'body', jsonb_build_object('body', s ->> 'prompt'))),
            (s ->> 'due')::bigint, (s ->> 'next')::bigint)
        from jsonb_array_elements(case jsonb_typeof(set_triggers.schedules) when 'array' then set_triggers.schedules else '[]' end) s, identity.account a where a.id = claw)
    where x.id = claw;
end
$$;
