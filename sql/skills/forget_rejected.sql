-- Deletes a skill of which every version was rejected, whose name is then free. Returns whether it was such a skill.
-- The caller holds the skill's row, so that no version is added meanwhile, and rejected versions stay rejected.
create or replace function skills.forget_rejected(skill uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    versions uuid[];
begin
    if exists (select from skills.version v where v.skill_id = forget_rejected.skill and v.status <> 'rejected') then
        return false;
    end if;
    versions := array(select v.id from skills.version v where v.skill_id = forget_rejected.skill);
    delete from skills.attestation a where a.version_id = any (versions);
    delete from skills.sent_example e where e.version_id = any (versions);
    delete from skills.version v where v.id = any (versions);
    delete from skills.skill s where s.id = forget_rejected.skill;
    return true;
end
$$;
grant execute on function skills.forget_rejected to gather_skills;
