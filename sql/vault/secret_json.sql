-- A secret as answers have it, without its value.
create or replace function vault.secret_json(secret vault.secret) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', secret.id, 'name', secret.name, 'kind', secret.kind, 'note', secret.note,
        'account_id', secret.account_id, 'team_id', secret.team_id,
        'platform', secret.account_id is null and secret.team_id is null,
        'use', case when secret.origins is not null then jsonb_strip_nulls(jsonb_build_object(
            'origins', secret.origins, 'methods', secret.methods, 'paths', secret.paths, 'place', secret.place)) end,
        'version', secret.version,
        'state', case when secret.expires_at <= now() then 'expired' else secret.state end,
        'expires_at', secret.expires_at, 'created_at', secret.created_at, 'changed_at', secret.changed_at,
        'versions', (select coalesce(jsonb_agg(jsonb_build_object('version', v.number,
                'state', case when v.until <= now() then 'ended' else v.state end,
                'until', v.until, 'created_at', v.created_at) order by v.number desc), '[]')
            from (select o.* from vault.version o where o.secret_id = secret.id order by o.number desc limit 20) v))
$$;
grant execute on function vault.secret_json to gather_vault;
