-- Gives a webhook of an account another secret. The one before counts for another day: both sign. Answers the version
-- of the new one; null where there is no such webhook.
create or replace function webhooks.rotate_secret(owner uuid, webhook uuid) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    present integer;
begin
    perform identity.require_active(owner);
    perform from webhooks.webhook w where w.id = webhook and w.owner_id = owner for no key update;
    if not found then
        return null;
    end if;
    delete from webhooks.secret s where s.webhook_id = webhook and s.until < now();
    if (select count(*) from webhooks.secret s where s.webhook_id = webhook) >= 5 then
        perform identity.refuse('secret_count');
    end if;
    update webhooks.secret s set until = now() + interval '1 day'
    where s.webhook_id = webhook and s.until is null returning s.version into present;
    insert into webhooks.secret (webhook_id, version) values (webhook, present + 1);
    return present + 1;
end
$$;
grant execute on function webhooks.rotate_secret to gather_webhooks;
