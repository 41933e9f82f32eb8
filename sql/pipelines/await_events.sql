-- Has a step told of events, which a job of `pipeline-run` decides about.
--   wanted  [{"which", "type", "topic"}]: the place in the list of what it waits for, and the events
create or replace function pipelines.await_events(r pipelines.run, path text, wanted jsonb) returns void
language sql
as $$
    update pipelines.step s set subscriptions = array(
        select events.subscribe(r.account_id, format('wait:%s:%s:%s', r.id, md5(path), w ->> 'which'),
            case when w ->> 'topic' is not null then array[w ->> 'topic'] end, array[w ->> 'type'], null, 'pipeline-run',
            jsonb_build_object('run', r.id, 'path', path, 'which', w -> 'which'))
        from jsonb_array_elements(wanted) w)
    where s.run_id = r.id and s.path = await_events.path
$$;
