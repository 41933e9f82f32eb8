-- Adds a version to a pipeline of an account. The active version's definition again is that version. Answers
-- {"number", "is_new"}; null if the account has no such pipeline. Refuses by the constraint pipeline_archived.
--   skills  those that the definition calls, as `pipelines.version` has them
create or replace function pipelines.publish(
    account uuid, pipeline uuid, definition jsonb, digest text, skills jsonb, note text, activate boolean
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p pipelines.pipeline;
    added integer;
begin
    select o.* into p from pipelines.pipeline o where o.id = publish.pipeline and o.owner_id = account for update;
    if not found then
        return null;
    elsif p.archived_at is not null then
        perform identity.refuse('pipeline_archived');
    end if;
    if exists (select from pipelines.version v
        where v.pipeline_id = p.id and v.number = p.active_version and v.digest = publish.digest) then
        return jsonb_build_object('number', p.active_version, 'is_new', false);
    end if;
    select max(v.number) + 1 into added from pipelines.version v where v.pipeline_id = p.id;
    insert into pipelines.version (pipeline_id, number, digest, definition, skills, note)
    values (p.id, added, publish.digest, publish.definition, publish.skills, publish.note);
    if activate then
        update pipelines.pipeline o set active_version = added where o.id = p.id;
    end if;
    perform pipelines.tell('pipeline.published', p.id, null, jsonb_build_object('pipeline', p.id, 'version', added));
    return jsonb_build_object('number', added, 'is_new', true);
end
$$;
grant execute on function pipelines.publish to gather_pipelines;
