-- Registers an admin by a link that the operator was given. Null if the link is not valid.
create or replace function identity.register_admin(link uuid, email text, name text, password bytea, version smallint, client jsonb)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.account;
begin
    update identity.link l set used_at = now()
    where l.id = register_admin.link and l.purpose = 'admin' and l.used_at is null and l.expires_at > now();
    if not found then
        return null;
    end if;
    made := identity.register_person(register_admin.email, register_admin.name, register_admin.password,
        register_admin.version, client);
    perform identity.set_roles(made.id, '{admin}', made.id, client ->> 'address', client ->> 'request_id');
    return made.id;
end
$$;
grant execute on function identity.register_admin to gather_people;
