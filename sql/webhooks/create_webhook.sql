-- Makes a webhook of an account, whose credential may read its topics (see `events.may_read`). Answers its id.
create or replace function webhooks.create_webhook(
    owner uuid, administers boolean, url text, topics text[], types text[]
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid := platform.uuid_v7();
begin
    perform identity.require_active(owner);
    if exists (select from unnest(create_webhook.topics) t where not events.may_read(owner, t, administers)) then
        perform identity.refuse('webhook_topics');
    end if;
    if (select count(*) from webhooks.webhook w where w.owner_id = owner) >= 50 then
        perform identity.refuse('webhook_count');
    end if;
    insert into webhooks.webhook (id, owner_id, url, topics, types, subscription)
    values (made, owner, create_webhook.url, create_webhook.topics, create_webhook.types,
        webhooks.subscribe(made, owner, create_webhook.topics, create_webhook.types));
    insert into webhooks.secret (webhook_id, version) values (made, 1);
    return made;
end
$$;
grant execute on function webhooks.create_webhook to gather_webhooks;
