-- Versions as lists show them. `is_public` is true if anybody may see the version.
create or replace view skills.version_view as
select v.id, v.skill_id, v.version, v.precedence, v.status, v.held, v.digest, c.size_bytes, v.created_at,
    v.decided_at, v.status in ('approved', 'yanked') as is_public
from skills.version v join skills.component c on c.digest = v.digest;
grant select on skills.version_view to gather_skills;
