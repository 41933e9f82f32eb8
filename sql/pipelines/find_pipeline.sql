-- The pipeline of an account by its id, or by its name among those that are not archived.
create or replace function pipelines.find_pipeline(account uuid, ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select p.id from pipelines.pipeline p where p.id = platform.uuid_of(ref) and p.owner_id = account),
        (select p.id from pipelines.pipeline p where p.owner_id = account and p.name = ref and p.archived_at is null))
$$;
grant execute on function pipelines.find_pipeline to gather_pipelines;
