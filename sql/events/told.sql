-- An event as readers are told it, with the facts that the gateway needs.
create or replace function events.told(e events.event) returns jsonb
language sql stable
as $$
    select jsonb_build_object('number', e.number, 'id', e.id, 'topic', e.topic, 'type', e.type, 'data', e.data,
        'actor', e.actor, 'audience', e.audience, 'of', events.told_of(e.data), 'created_at', e.created_at,
        'at', floor(extract(epoch from e.created_at) * 1000)::bigint)
$$;
