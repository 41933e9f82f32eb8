-- Takes an approved version back, after which the skill shows the next one.
create or replace function skills.yank(version uuid) returns void
language sql
as $$
    update skills.version v set status = 'yanked', yanked_at = now()
    where v.id = yank.version and v.status = 'approved';
    select skills.choose_latest(v.skill_id) from skills.version v where v.id = yank.version;
$$;
grant execute on function skills.yank to gather_skills;
