-- Chooses a skill's current version, which lists show: the highest approved one, a
-- pre-release only if there is no other.
create or replace function skills.choose_latest(skill uuid) returns void
language sql
as $$
    -- Concurrent choices wait here, and then see each other's decision.
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
