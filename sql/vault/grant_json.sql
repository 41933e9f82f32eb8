-- A grant as answers have it.
create or replace function vault.grant_json(given vault.secret_grant) returns jsonb
language sql stable
as $$
    select jsonb_build_object('subject', given.subject, 'until', given.until, 'calls', given.calls, 'used', given.used,
        'created_at', given.created_at)
$$;
grant execute on function vault.grant_json to gather_vault;
