-- The pipeline of an id that an account may read: its own, those of its teams, and public ones; or of a name among its own
-- that are not archived. Null if there is none.
create or replace function pipelines.readable(account uuid, ref text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(pipelines.find_pipeline(account, ref), (
        select p.id from pipelines.pipeline p
        where p.id = platform.uuid_of(ref) and p.archived_at is null and pipelines.sees(account, p)))
$$;
grant execute on function pipelines.readable to gather_pipelines;
