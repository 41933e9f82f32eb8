-- Chooses the version that a skill stands for, and what lists show of it: the highest approved one, a
-- pre-release only where there is nothing else.
create or replace function skills.choose_latest(skill uuid) returns void
language sql
as $$
    -- Who chooses at the same time waits here, and then sees what was decided.
    select from skills.skill s where s.id = choose_latest.skill for update;
    update skills.skill s
    set latest_id = l.id,
        description = coalesce(l.manifest ->> 'description', ''),
        tags = coalesce(array(select jsonb_array_elements_text(l.manifest -> 'tags')), '{}'),
        updated_at = now(),
        words = lower(concat_ws(' ', s.name, replace(s.name, '-', ' '), l.manifest ->> 'description',
            (select string_agg(t, ' ') from jsonb_array_elements_text(l.manifest -> 'tags') t))),
        document =
            setweight(to_tsvector('simple', replace(s.name, '-', ' ')), 'A')
            || setweight(to_tsvector('english', coalesce(l.manifest ->> 'description', '')), 'B')
            || setweight(to_tsvector('simple', coalesce(
                (select string_agg(t, ' ') from jsonb_array_elements_text(l.manifest -> 'tags') t), '')), 'B')
            || setweight(to_tsvector('english', coalesce(
                (select string_agg(concat_ws(' ', t ->> 'name', t ->> 'description'), ' ')
                 from jsonb_array_elements(l.tools) t), '')), 'C')
            || setweight(to_tsvector('english', left(coalesce(l.manifest ->> 'readme', ''), 20000)), 'D')
    from (select 1) one
    left join lateral (
        select v.* from skills.version v
        where v.skill_id = choose_latest.skill and v.status = 'approved'
        order by v.is_prerelease, v.precedence desc limit 1
    ) l on true
    where s.id = choose_latest.skill
$$;
grant execute on function skills.choose_latest to gather_skills;
