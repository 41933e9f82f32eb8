-- Publishes a version and asks for its review. Refuses by the constraints skill_owner (the name is
-- somebody else's, or begins with `gather-`, as those of the platform do) and version_key (that version exists). A skill of which every version was rejected is in nobody's
-- way: not in that of another publisher, nor of the same version again. A version that is still under review, though
-- its job was cancelled or is dead, is reviewed again when the same is published again.
--   published  the sandbox's description of the upload: manifest, precedence, digest, tools, facts
create or replace function skills.publish(account uuid, published jsonb) returns jsonb
language plpgsql
as $$
declare
    skill skills.skill;
    version skills.version;
    manifest jsonb := published -> 'manifest';
begin
    loop
        insert into skills.skill (name, owner_id) values (manifest ->> 'name', account)
        on conflict on constraint skill_name_key do nothing;
        select * into skill from skills.skill s where s.name = manifest ->> 'name' for update;
        -- The name is free again if the rejected skill was deleted at this moment.
        continue when not found;
        exit when skill.owner_id = account
            and not exists (select from skills.version v
                where v.skill_id = skill.id and v.version = publish.published #>> '{manifest,version}' and v.status = 'rejected');
        exit when not skills.forget_rejected(skill.id);
    end loop;
    if skill.owner_id <> account or manifest ->> 'name' like 'gather-%' then
        raise exception 'the name is taken' using errcode = 'unique_violation', constraint = 'skill_owner';
    end if;
    insert into skills.version
        (skill_id, version, precedence, is_prerelease, digest, manifest, tools, facts, published_by)
    values (skill.id, manifest ->> 'version', published ->> 'precedence',
        (published ->> 'is_prerelease')::boolean, published ->> 'digest', manifest,
        published -> 'tools', published -> 'facts', account)
    on conflict on constraint version_key do nothing
    returning * into version;
    if version.id is null then
        select * into version from skills.version v
        where v.skill_id = skill.id and v.version = published #>> '{manifest,version}' and v.status = 'in_review'
        and not v.held and v.digest = published ->> 'digest' and v.manifest = publish.published -> 'manifest'
        and skills.is_review_lost(v.job_id);
        if version.id is null then
            raise exception 'the version exists' using errcode = 'unique_violation', constraint = 'version_key';
        end if;
    end if;
    -- Reviews take turns by account: one goes after as many of everybody else's as its author has waiting before it.
    update skills.version v
    set job_id = jobs.enqueue('skill-review', jsonb_build_object('version_id', version.id), account,
        version.id::text, priority => least(jobs.waiting('skill-review', account), 1000))
    where v.id = version.id returning * into version;
    return jsonb_build_object('skill_id', skill.id, 'version_id', version.id, 'job_id', version.job_id,
        'created_at', version.created_at);
end
$$;
grant execute on function skills.publish to gather_skills;
