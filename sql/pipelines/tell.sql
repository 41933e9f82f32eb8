-- Emits an event on the topics of a pipeline and, if it is about one, of a run.
create or replace function pipelines.tell(type text, pipeline uuid, run uuid, data jsonb) returns void
language sql
as $$
    insert into events.event (id, topic, type, data)
    select e.id, t.topic, replace(tell.type, '_', '-'), tell.data
    from (select platform.uuid_v7() as id) e,
        lateral (values ('pipeline:' || tell.pipeline), ('run:' || tell.run)) t (topic)
    where t.topic is not null
$$;
