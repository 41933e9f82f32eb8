-- The accounts that an address stands for: the one that has proved it, or all that claim it while none has.
create or replace function identity.claims_of(email text) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select a.id from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
    where p.email = claims_of.email and (p.verified_at is not null or not exists (
        select from identity.person o where o.email = p.email and o.verified_at is not null))
$$;
grant execute on function identity.claims_of to gather_people;
