-- Deletes a webhook of an account, with its deliveries. Whether there was such a webhook.
create or replace function webhooks.delete_webhook(owner uuid, webhook uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    subscription uuid;
begin
    delete from webhooks.webhook w where w.id = webhook and w.owner_id = owner returning w.subscription into subscription;
    perform events.unsubscribe(subscription);
    return subscription is not null;
end
$$;
grant execute on function webhooks.delete_webhook to gather_webhooks;
