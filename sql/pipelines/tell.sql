-- Emits an event on the topics of a pipeline and, if it is about one, of a run. It counts as led to by the event that
-- started the run, so that no work sets itself off for ever.
create or replace function pipelines.tell(type text, pipeline uuid, run uuid, data jsonb) returns void
language plpgsql
as $$
begin
    insert into events.event (id, topic, type, data, cause, depth)
    select e.id, t.topic, replace(tell.type, '_', '-'), tell.data, r.event_id, coalesce(r.depth, 0)
    from (select platform.uuid_v7() as id) e left join pipelines.run r on r.id = tell.run,
        lateral (values ('pipeline:' || tell.pipeline), ('run:' || tell.run)) t (topic)
    where t.topic is not null;
end
$$;
