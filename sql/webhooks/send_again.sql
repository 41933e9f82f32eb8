-- Puts a delivery of an account into the queue again, for another day. Answers its state; null where there is no such
-- delivery.
create or replace function webhooks.send_again(owner uuid, delivery uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    d webhooks.delivery;
begin
    perform identity.require_active(owner);
    select e.* into d from webhooks.delivery e join webhooks.webhook w on w.id = e.webhook_id
    where e.id = delivery and w.owner_id = owner for update of e;
    if not found then
        return null;
    end if;
    if d.state = 'waiting' then
        perform identity.refuse('delivery_waiting');
    end if;
    if exists (select from webhooks.webhook w where w.id = d.webhook_id and w.disabled is not null) then
        perform identity.refuse('webhook_disabled');
    end if;
    update webhooks.delivery e
    set state = 'waiting', ended_at = null, expires_at = now() + interval '1 day'
    where e.id = delivery;
    perform jobs.enqueue('webhook-delivery', jsonb_build_object('delivery', delivery),
        queue => 'webhook:' || d.webhook_id);
    return 'waiting';
end
$$;
grant execute on function webhooks.send_again to gather_webhooks;
