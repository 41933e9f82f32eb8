-- Whether an account may read a pipeline.
create or replace function pipelines.sees(account uuid, p pipelines.pipeline) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select p.owner_id = account or p.visibility = 'public' or p.visibility = 'team' and exists (
        select from identity.team_member m where m.team_id = p.team_id and m.account_id = account)
$$;
grant execute on function pipelines.sees to gather_pipelines;
