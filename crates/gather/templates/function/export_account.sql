-- What an account has kept, as it is told when it asks for all that is known of it.
create or replace function {{name}}.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('entries', coalesce((
        select jsonb_agg(jsonb_build_object('id', e.id, 'text', e.text, 'created_at', e.created_at) order by e.id)
        from {{name}}.entry e where e.account_id = account), '[]'))
$$;
grant execute on function {{name}}.export_account(uuid) to gather_identity;
