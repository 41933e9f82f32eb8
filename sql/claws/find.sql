-- A claw by its id or name, of an account or, for one that manages others', of everybody.
create or replace function claws.find(account uuid, ref text, manages boolean) returns setof claws.claw
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select c.* from claws.claw c join identity.account a on a.id = c.id
    where (c.id = platform.uuid_of(ref) or a.name = ref) and (c.owner_id = account or manages)
$$;
grant execute on function claws.find(uuid, text, boolean) to gather_claws;
