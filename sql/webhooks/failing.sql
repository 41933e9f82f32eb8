-- The webhooks of all accounts that are disabled or fail, the newest first, from before the one `after`. What of an address
-- follows its host may be a secret of the owner, and is left out.
create or replace function webhooks.failing(after uuid, most bigint)
returns table (id uuid, owner jsonb, origin text, state text, failing_since timestamptz, failures integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select w.id, jsonb_build_object('id', a.id, 'name', a.name), webhooks.place(w.url),
        coalesce(w.disabled, 'enabled'), w.failing_since, w.failures
    from webhooks.webhook w join identity.account a on a.id = w.owner_id
    where (w.disabled is not null or w.failing_since is not null) and (failing.after is null or w.id < failing.after)
    order by w.id desc limit failing.most
$$;
grant execute on function webhooks.failing to gather_webhooks;
