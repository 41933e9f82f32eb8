-- Starts the work of a subscription for an event, unless that would go on and on: where eight starts lie behind the event
-- already, or with more than 60 in one minute. Then the owner is told so, once a day.
create or replace function events.start(s events.subscription, e events.event) returns void
language plpgsql
as $$
declare
    why text;
    told boolean;
    function text;
begin
    if e.depth >= 8 then
        why := 'it was started by work that it had started itself';
    elsif not exists (select from events.uncounted u where u.kind = s.kind) then
        update events.subscription c
        set minute = date_trunc('minute', clock_timestamp()),
            starts = 1 + case when c.minute = date_trunc('minute', clock_timestamp()) then c.starts else 0 end
        where c.id = s.id
        returning case when c.starts > 60 then 'it starts more than 60 times a minute' end into why;
    end if;
    if why is null then
        perform jobs.add(s.kind, jsonb_build_object(
            'subscription', s.id, 'owner', s.owner, 'argument', s.argument,
            'event', jsonb_build_object('id', e.id, 'topic', e.topic, 'type', e.type, 'number', e.number,
                'created_at', e.created_at)),
            null, null, null, s.queue, 0, e.id, e.depth + 1);
        return;
    end if;
    for function in select h.function from events.held_back h where h.kind = s.kind loop
        execute format('select %s($1, $2, $3)', function) using s.argument, e, why;
    end loop;
    update events.subscription c set noted_at = clock_timestamp()
    where c.id = s.id and (c.noted_at is null or c.noted_at < clock_timestamp() - interval '1 day');
    get diagnostics told = row_count;
    if told then
        perform inbox.notify(array[s.owner], 'subscription', format('%s is held back', s.kind),
            format('What happens on %s starts it, and %s.', e.topic, why), null, subject => 'subscription:' || s.id);
    end if;
end
$$;
