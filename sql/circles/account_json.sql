-- The JSON that names an account in answers.
create or replace function circles.account_json(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', a.id, 'name', a.name, 'kind', a.kind)
    from identity.account a where a.id = account
$$;
grant execute on function circles.account_json(uuid) to gather_circles;
