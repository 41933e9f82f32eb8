-- Whether an account may follow `run:<id>`: the account that the run acts for may.
create or replace function pipelines.may_read_run(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from pipelines.run r
        where r.id = platform.uuid_of(may_read_run.id)
        and r.account_id = account)
$$;
