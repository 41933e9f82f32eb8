-- Changes a pipeline of an account; what is null stays. Answers whether there is one. Refuses by the constraints
-- pipeline_archived, pipeline_version, pipeline_name_key and pipeline_team_member.
create or replace function pipelines.change_pipeline(
    account uuid, pipeline uuid, name text, active_version integer, paused boolean, visibility text
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p pipelines.pipeline;
begin
    select o.* into p from pipelines.pipeline o where o.id = change_pipeline.pipeline and o.owner_id = account for update;
    if not found then
        return false;
    elsif p.archived_at is not null then
        perform identity.refuse('pipeline_archived');
    elsif change_pipeline.active_version is not null and not exists (select from pipelines.version v
        where v.pipeline_id = p.id and v.number = change_pipeline.active_version) then
        perform identity.refuse('pipeline_version');
    end if;
    if change_pipeline.visibility = 'team' and p.team_id is null then
        perform identity.refuse('pipeline_team_member');
    end if;
    update pipelines.pipeline o
    set name = coalesce(change_pipeline.name, o.name),
        active_version = coalesce(change_pipeline.active_version, o.active_version),
        paused = coalesce(change_pipeline.paused, o.paused),
        visibility = coalesce(change_pipeline.visibility, o.visibility)
    where o.id = p.id;
    return true;
end
$$;
grant execute on function pipelines.change_pipeline to gather_pipelines;
