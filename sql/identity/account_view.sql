-- An account as admins see it.
create or replace view identity.account_view as
select a.id, a.kind, a.name, a.status, identity.roles_of(a.id) as roles,
    string_to_array(identity.scopes_of(a.id), ' ') as scopes, a.created_at
from identity.account a;
grant select on identity.account_view to gather_people, gather_accounts;
