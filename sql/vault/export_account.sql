-- The secrets of an account and what was granted to it, without the values, which nobody can read.
create or replace function vault.export_account(account uuid) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'secrets', coalesce((select jsonb_agg(vault.secret_json(s) || jsonb_build_object(
                'grants', (select coalesce(jsonb_agg(vault.grant_json(g) order by g.subject), '[]')
                    from vault.secret_grant g where g.secret_id = s.id)) order by s.id)
            from vault.secret s where s.account_id = account and s.state <> 'deleted'), '[]'),
        'granted', coalesce((select jsonb_agg(vault.grant_json(g) || jsonb_build_object('secret', g.secret_id)
                order by g.secret_id)
            from vault.secret_grant g where g.subject = 'account:' || account), '[]'),
        'uses', coalesce((select jsonb_agg(jsonb_build_object('secret', u.secret_id, 'at', u.at, 'origin', u.origin,
                'method', u.method, 'path', u.path, 'status', u.status, 'refused', u.refused) order by u.id)
            from vault.use u where u.account_id = account), '[]'))
$$;
