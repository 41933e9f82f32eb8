-- Makes a trigger of an account's pipeline. Answers its id; null if the account has no such pipeline. Refuses by the
-- constraints account_active, pipeline_archived, trigger_count and trigger_topic.
create or replace function pipelines.create_trigger(
    account uuid, pipeline uuid, kind text, type text, topic text, verify text, condition text, input jsonb
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p pipelines.pipeline;
    made uuid := platform.uuid_v7();
begin
    perform identity.require_active(account);
    select o.* into p from pipelines.pipeline o where o.id = create_trigger.pipeline and o.owner_id = account for update;
    if not found then
        return null;
    elsif p.archived_at is not null then
        perform identity.refuse('pipeline_archived');
    elsif (select count(*) from pipelines.trigger t where t.pipeline_id = p.id) >= 50 then
        perform identity.refuse('trigger_count');
    elsif create_trigger.topic is not null and not events.may_read(account, create_trigger.topic) then
        perform identity.refuse('trigger_topic');
    end if;
    insert into pipelines.trigger (id, pipeline_id, owner_id, kind, type, topic, verify, condition, input)
    values (made, p.id, account, create_trigger.kind, create_trigger.type, create_trigger.topic, create_trigger.verify,
        create_trigger.condition,
        create_trigger.input);
    perform pipelines.subscribe(made);
    return made;
end
$$;
grant execute on function pipelines.create_trigger to gather_pipelines;
