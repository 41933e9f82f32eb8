-- The JSON of a member of a circle.
create or replace function circles.member_json(m circles.member) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('account', circles.account_json(m.account_id), 'role', m.role, 'order', m.place,
        'joined_at', m.joined_at, 'persona', (
            select jsonb_build_object('id', p.id, 'name', p.name, 'version', coalesce(s.persona_version, p.version),
                'owner', s.owner_id, 'public', s.public)
            from circles.seat s join circles.persona p on p.id = s.persona_id where s.account_id = m.account_id))
$$;
grant execute on function circles.member_json(circles.member) to gather_circles;
