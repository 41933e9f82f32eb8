-- Skills as lists, the page of one and the profiles of their owners show them.
create or replace view skills.skill_summary as
select s.id, s.name, s.description, s.tags, jsonb_build_object('id', o.id, 'name', o.name) as owner,
    v.version as latest_version, s.rank, s.uses_30d, s.users_30d, s.rating, s.ratings, s.created_at, s.updated_at,
    s.owner_id, s.latest_id
from skills.skill s
join identity.account_name o on o.id = s.owner_id
left join skills.version v on v.id = s.latest_id;
grant select on skills.skill_summary to gather_skills, gather_accounts;
