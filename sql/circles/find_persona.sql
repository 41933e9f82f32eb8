-- The persona of an id or a name that an account may use, or null. Of personas with one name, the account's own comes
-- first, then the platform's, then the eldest.
create or replace function circles.find_persona(account uuid, ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select p.id from circles.persona p
    where (p.id = platform.uuid_of(ref) or p.name = ref) and circles.may_use_persona(account, p)
    order by p.owner_id is not distinct from account desc, p.owner_id is null desc, p.id limit 1
$$;
grant execute on function circles.find_persona(uuid, text) to gather_circles;
