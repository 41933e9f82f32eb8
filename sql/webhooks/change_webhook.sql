-- Changes a webhook of an account, whose credential may read the new topics (see `events.may_read`); null leaves
-- something as it is, and an empty list of types is all types. Whether there is such a webhook.
create or replace function webhooks.change_webhook(
    owner uuid, administers boolean, webhook uuid, url text, topics text[], types text[]
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    changed webhooks.webhook;
begin
    perform identity.require_active(owner);
    if exists (select from unnest(change_webhook.topics) t where not events.may_read(owner, t, administers)) then
        perform identity.refuse('webhook_topics');
    end if;
    update webhooks.webhook w
    set url = coalesce(change_webhook.url, w.url), topics = coalesce(change_webhook.topics, w.topics),
        types = case when change_webhook.types is null then w.types else nullif(change_webhook.types, '{}') end
    where w.id = webhook and w.owner_id = owner
    returning * into changed;
    if not found then
        return false;
    end if;
    perform webhooks.subscribe(webhook, owner, changed.topics, changed.types);
    return true;
end
$$;
grant execute on function webhooks.change_webhook to gather_webhooks;
