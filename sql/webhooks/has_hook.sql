-- Whether there is such a hook, of an owner who is active.
create or replace function webhooks.has_hook(hook uuid, source text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from webhooks.hook h join identity.account a on a.id = h.owner_id and a.status = 'active'
        where h.id = hook and h.source = has_hook.source)
$$;
grant execute on function webhooks.has_hook to gather_webhooks;
