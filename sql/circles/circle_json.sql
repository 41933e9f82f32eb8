-- The JSON of a circle for an account in answers, or for events if the account is null.
create or replace function circles.circle_json(c circles.circle, viewer uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', c.id, 'name', c.name, 'purpose', c.purpose, 'mode', c.mode, 'rules', c.rules,
            'private', c.private, 'public', c.public, 'created_at', c.created_at, 'version', c.version,
            'budget', (select jsonb_build_object('limit_microusd', b.limit_microusd, 'period', b.period,
                    'spent_microusd', b.spent_microusd)
                from llm.budget b where b.subject = 'circle:' || c.id limit 1),
            'members', (select count(*) from (
                select from circles.member m where m.circle_id = c.id limit 1000) as some_members))
        || case when viewer is null then '{}' else jsonb_build_object('role', (
            select m.role from circles.member m where m.circle_id = c.id and m.account_id = viewer)) end
$$;
grant execute on function circles.circle_json(circles.circle, uuid) to gather_circles;
