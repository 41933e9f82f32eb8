-- Sends a test to a webhook of an account. Answers the delivery's id; null where there is no such webhook.
create or replace function webhooks.test_webhook(owner uuid, webhook uuid) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid;
begin
    perform identity.require_active(owner);
    if exists (select from webhooks.webhook w where w.id = webhook and w.owner_id = owner and w.disabled is not null) then
        perform identity.refuse('webhook_disabled');
    end if;
    insert into webhooks.delivery (webhook_id, type)
    select w.id, 'webhook.test' from webhooks.webhook w where w.id = webhook and w.owner_id = owner
    returning id into made;
    if made is not null then
        perform jobs.enqueue('webhook-delivery', jsonb_build_object('delivery', made), queue => 'webhook:' || webhook);
    end if;
    return made;
end
$$;
grant execute on function webhooks.test_webhook to gather_webhooks;
