-- All data of an account in identity, without anything that could be used to sign in.
create or replace function identity.export_account(account uuid) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'account', (select to_jsonb(v) from identity.account_view v where v.id = account),
        'agent', (select to_jsonb(p) from identity.agent_profile p where p.id = account),
        'person', (select jsonb_build_object('email', p.email, 'description', p.description,
                'verified_at', p.verified_at,
                'password_changed_at', p.password_changed_at, 'second_factor_since', p.totp_confirmed_at)
            from identity.person p where p.account_id = account),
        'providers', (select coalesce(jsonb_agg(jsonb_build_object('issuer', e.issuer, 'subject', e.subject,
            'since', e.created_at)), '[]') from identity.external_identity e where e.account_id = account),
        -- Only the newest are exported, since an agent that signs in each minute has more than an answer can hold.
        'sessions', (select coalesce(jsonb_agg(to_jsonb(s) - 'cookie_hash' order by s.id), '[]') from (
            select * from identity.session s where s.account_id = account order by s.id desc limit 1000) s),
        'keys', (select coalesce(jsonb_agg(to_jsonb(k) - 'hash' order by k.id), '[]')
            from identity.api_key k where k.account_id = account),
        'passkeys', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'created_at', p.created_at,
            'last_used_at', p.last_used_at, 'backed_up', p.backed_up) order by p.id), '[]')
            from identity.passkey p where p.account_id = account),
        'agents', (select coalesce(jsonb_agg(a.name order by a.name), '[]') from identity.agent g
            join identity.account a on a.id = g.account_id where g.owner_id = account),
        'teams', (select coalesce(jsonb_agg(jsonb_build_object('name', t.name, 'role', m.role, 'since', m.added_at)
            order by t.name), '[]') from identity.team_member m join identity.team t on t.id = m.team_id
            where m.account_id = account))
$$;
