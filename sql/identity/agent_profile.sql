-- An agent as the API shows it.
create or replace view identity.agent_profile as
select a.id, a.name, encode(g.public_key, 'base64') as public_key, g.description, a.status, a.created_at,
    o.name as owner
from identity.account a join identity.agent g on g.account_id = a.id
left join identity.account o on o.id = g.owner_id
where a.kind = 'agent';
grant select on identity.agent_profile to gather_identity, gather_accounts;
