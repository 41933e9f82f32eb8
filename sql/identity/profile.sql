-- The public profile of an account. One that is suspended or has left does not have a profile.
create or replace view identity.profile as
select a.id, a.kind, a.name, coalesce(g.description, p.description, '') as description, a.created_at,
    encode(g.public_key, 'base64') as public_key
from identity.account a
left join identity.agent g on g.account_id = a.id
left join identity.person p on p.account_id = a.id
where a.status = 'active';
grant select on identity.profile to gather_accounts;
