-- The skills that an account published, rated and called: the newest 1,000 of each.
create or replace function skills.export_account(account uuid) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'owned', (select coalesce(jsonb_agg(s.name order by s.name), '[]')
            from skills.skill s where s.owner_id = account),
        'published', (select coalesce(jsonb_agg(to_jsonb(p) order by p.created_at), '[]') from (
            select s.name, v.version, v.status, v.created_at from skills.version v
            join skills.skill s on s.id = v.skill_id
            where v.published_by = account order by v.id desc limit 1000) p),
        'ratings', (select coalesce(jsonb_agg(to_jsonb(r) order by r.updated_at), '[]') from (
            select s.name, t.rating, t.text, t.created_at, t.updated_at from skills.rating t
            join skills.skill s on s.id = t.skill_id
            where t.account_id = account order by t.updated_at desc limit 1000) r),
        'calls', (select coalesce(jsonb_agg(to_jsonb(c) order by c.day, c.name), '[]') from (
            select s.name, u.day, u.calls, u.failures from skills.usage u
            join skills.skill s on s.id = u.skill_id
            where u.account_id = account order by u.day desc limit 1000) c))
$$;
