-- Emits an event for a step, on a topic of the account that its run acts for: its own, the run's, or one of its pipelines'.
-- Answers null, or the error of the step if it must not.
--   said  {"type", "topic", "data"}
create or replace function pipelines.emit_event(r pipelines.run, said jsonb) returns jsonb
language plpgsql
as $$
declare
    topic text := said ->> 'topic';
    named uuid := platform.uuid_of(split_part(said ->> 'topic', ':', 2));
begin
    if topic is distinct from 'account:' || r.account_id and topic is distinct from 'run:' || r.id and not (
        starts_with(topic, 'pipeline:')
        and exists (select from pipelines.pipeline p where p.id = named and p.owner_id = r.account_id))
    then
        return '{"code": "permission-denied", "detail": "The topic is not one of the account''s own."}';
    end if;
    insert into events.event (topic, type, data, actor, cause, depth)
    values (topic, said ->> 'type', coalesce(nullif(said -> 'data', 'null'), '{}'), r.account_id, r.event_id, r.depth);
    return null;
exception when check_violation then
    return '{"code": "expression-failed", "detail": "The type or the topic is malformed."}';
end
$$;
