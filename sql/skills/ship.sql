-- Brings a version of a skill of the platform along, approved, unless it is there. Its name begins with `gather-`, which
-- nobody else can publish under: see `skills.publish`. Returns whether the skill is the platform's: before there were such
-- skills, somebody may have taken the name.
--   published  the description of the upload: manifest, precedence, digest, tools, facts
create or replace function skills.ship(published jsonb, component bytea) returns boolean
language plpgsql
as $$
declare
    platform uuid := identity.platform_account();
    found_skill skills.skill;
begin
    -- An account that never signed in is forgotten after a day.
    insert into identity.account (id, kind, name, authenticated_at) values (platform, 'agent', 'gather', now())
    on conflict do nothing;
    insert into identity.agent (account_id, description) values (platform, 'The platform itself: its skills come along.')
    on conflict do nothing;
    insert into skills.skill (name, owner_id) values (published #>> '{manifest,name}', platform)
    on conflict on constraint skill_name_key do nothing;
    select s.* into found_skill from skills.skill s where s.name = published #>> '{manifest,name}' for update;
    if found_skill.owner_id <> platform then
        return false;
    end if;
    insert into skills.component (digest, size_bytes, bytes)
    values (published ->> 'digest', octet_length(component), component) on conflict do nothing;
    insert into skills.version (skill_id, version, precedence, is_prerelease, digest, manifest, tools, facts, status,
        published_by, review, quality, decided_at)
    values (found_skill.id, published #>> '{manifest,version}', published ->> 'precedence',
        (published ->> 'is_prerelease')::boolean, published ->> 'digest', published -> 'manifest', published -> 'tools',
        published -> 'facts', 'approved', platform, '{"findings": []}', 1, now())
    on conflict on constraint version_key do nothing;
    perform skills.choose_latest(found_skill.id) where found;
    return true;
end
$$;
