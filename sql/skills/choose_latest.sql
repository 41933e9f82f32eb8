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
        words = coalesce(skills.search_words(l.manifest, l.tools), ''),
        document = coalesce(skills.search_document(l.manifest, l.tools), '')
    from (select 1) one
    left join lateral (
        select v.* from skills.version v
        where v.skill_id = choose_latest.skill and v.status = 'approved'
        order by v.is_prerelease, v.precedence desc limit 1
    ) l on true
    where s.id = choose_latest.skill
$$;
grant execute on function skills.choose_latest to gather_skills;
