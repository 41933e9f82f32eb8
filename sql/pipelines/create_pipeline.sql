-- Makes a pipeline of an account with its first version, which is active. Answers its id. Refuses by the constraints
-- pipeline_name_key, pipeline_count and pipeline_team_member.
--   skills  those that the definition calls, as `pipelines.version` has them
create or replace function pipelines.create_pipeline(
    account uuid, name text, definition jsonb, digest text, skills jsonb default '[]',
    team uuid default null, visibility text default 'private'
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid;
begin
    perform identity.require_active(account);
    if (select count(*) from (select from pipelines.pipeline p
        where p.owner_id = account and p.archived_at is null limit 1000) c) >= 1000 then
        perform identity.refuse('pipeline_count');
    end if;
    if team is not null and not exists (select from identity.team_member m
        where m.team_id = create_pipeline.team and m.account_id = account)
        or team is null and create_pipeline.visibility = 'team' then
        perform identity.refuse('pipeline_team_member');
    end if;
    insert into pipelines.pipeline as p (owner_id, name, team_id, visibility)
    values (account, create_pipeline.name, team, create_pipeline.visibility) returning p.id into made;
    insert into pipelines.version (pipeline_id, number, digest, definition, skills)
    values (made, 1, create_pipeline.digest, create_pipeline.definition, create_pipeline.skills);
    perform pipelines.tell('pipeline.published', made, null, jsonb_build_object('pipeline', made, 'version', 1));
    return made;
end
$$;
grant execute on function pipelines.create_pipeline to gather_pipelines;
