-- Whether an account may follow `pipeline:<id>`: its owner may.
create or replace function pipelines.may_read_pipeline(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from pipelines.pipeline p
        where p.id = platform.uuid_of(may_read_pipeline.id)
        and p.owner_id = account)
$$;
