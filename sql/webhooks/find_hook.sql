-- The source of a hook, whose owner is active; no row where there is no such hook.
create or replace function webhooks.find_hook(hook uuid, source text) returns setof webhooks.source
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select s.* from webhooks.hook h
    join webhooks.source s on s.name = h.source
    join identity.account a on a.id = h.owner_id and a.status = 'active'
    where h.id = hook and h.source = find_hook.source
$$;
grant execute on function webhooks.find_hook to gather_webhooks;
