-- Has a webhook's deliveries started by events. They are sent one after another, so a receiver is never flooded, and
-- one that is slow holds up nobody else's.
create or replace function webhooks.subscribe(webhook uuid, owner uuid, topics text[], types text[]) returns uuid
language sql
as $$
    select events.subscribe(subscribe.owner, 'webhook:' || webhook, subscribe.topics, subscribe.types, null,
        'webhook-delivery', jsonb_build_object('webhook', webhook), 'webhook:' || webhook)
$$;
