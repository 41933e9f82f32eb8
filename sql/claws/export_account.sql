-- The data of an account here: its claws, and their histories.
create or replace function claws.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('claws', coalesce((
        select jsonb_agg(claws.claw_json(c) || jsonb_build_object('history', (
                select coalesce(jsonb_agg(jsonb_build_object('at', h.at, 'from', h.from_status, 'to', h.to_status,
                    'cause', h.cause) order by h.id), '[]')
                from claws.change h where h.claw_id = c.id)) order by c.id)
        from claws.claw c where account in (c.owner_id, c.id)), '[]'))
$$;
