-- Whether an account may change what belongs to an owner. `admin`: it may change the platform's.
create or replace function llm.manages(account uuid, owner text, admin boolean) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when manages.owner = 'platform' then admin
        when manages.owner like 'team:%' then identity.allows(account, 'llm:provide', platform.uuid_of(substr(manages.owner, 6)))
        else manages.owner = 'account:' || account end
$$;
grant execute on function llm.manages to gather_llm;
