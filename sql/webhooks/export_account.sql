-- The webhooks and hooks of an account, without their secrets.
create or replace function webhooks.export_account(account uuid) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'webhooks', coalesce((select jsonb_agg(jsonb_build_object('id', w.id, 'url', w.url, 'topics', w.topics,
            'types', w.types, 'disabled', w.disabled, 'created_at', w.created_at) order by w.id)
            from webhooks.webhook w where w.owner_id = account), '[]'),
        'hooks', coalesce((select jsonb_agg(jsonb_build_object('id', h.id, 'source', h.source,
            'created_at', h.created_at) order by h.id)
            from webhooks.hook h where h.owner_id = account), '[]'))
$$;
