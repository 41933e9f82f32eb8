-- Makes an existing account an admin, for the operator. Returns its name, or null if it does not exist.
create or replace function identity.make_admin(name_or_id text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target identity.account;
begin
    perform identity.lock_admins();
    select * into target from identity.account a
    where a.id = identity.account_called(name_or_id) and a.status = 'active';
    if not found then
        return null;
    end if;
    perform identity.set_roles(target.id,
        array(select distinct unnest(identity.roles_of(target.id) || array['admin'])), null, null, null);
    return target.name;
end
$$;
