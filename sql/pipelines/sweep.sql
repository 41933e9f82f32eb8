-- Puts runs back to work that nobody drives, at most so many, tells steps of answers that got lost, has overdue schedules dispatched, forgets runs
-- whose time is over and firings that ended 30 days ago, and adds up the counts of what has ended. Workers call it.
create or replace function pipelines.sweep(most integer) returns void
language plpgsql
as $$
declare
    lost record;
    given_up uuid;
    forgotten uuid;
    queue record;
    swept integer := 0;
begin
    for given_up in
        select r.id from pipelines.run r where r.is_lost and r.finished_at is null order by r.id limit most
    loop
        perform pipelines.end_run(given_up, 'failed', null,
            '{"code": "engine-lost", "detail": "The run could not be driven: its workers were lost."}');
    end loop;
    for lost in
        select r.id, r.job_id, r.status, j.id is null as is_gone, j.finished_at is not null as is_ended
        from pipelines.run r left join jobs.job j on j.id = r.job_id
        where r.finished_at is null and r.status <> 'paused'
        and (case when r.job_id is null then r.status <> 'waiting' else j.id is null or j.finished_at is not null end)
        order by r.id limit most for update of r skip locked
    loop
        if lost.is_ended then
            perform pipelines.job_ended(lost.job_id);
        else
            perform pipelines.drive(lost.id, null);
        end if;
        swept := swept + 1;
    end loop;
    if swept > 0 then
        insert into pipelines.ended (what, status, count) values ('swept', 'swept', swept);
    end if;
    for queue in
        select distinct r.pipeline_id, r.concurrency_key from pipelines.run r
        where r.concurrency_key is not null and r.finished_at is null and not r.is_admitted and r.status = 'waiting'
        and not r.is_paused order by 1, 2 limit most
    loop
        perform jobs.enqueue('pipeline-run', jsonb_build_object('admits',
            jsonb_build_object('pipeline', queue.pipeline_id, 'key', queue.concurrency_key)));
    end loop;
    for forgotten in
        select v.channel_id from circles.conversation v where v.task is not null and not exists (
            select from circles.turn t where t.channel_id = v.channel_id
            and (t.finished_at is null or t.finished_at > clock_timestamp() - interval '10 seconds'))
        order by v.channel_id limit most
    loop
        perform pipelines.answered(forgotten);
    end loop;
    if exists (select from pipelines.schedule s
        where s.next_at < clock_timestamp() - interval '2 seconds' and s.paused is null)
        or exists (select from pipelines.firing f
        where not f.settled and f.finished_at < clock_timestamp() - interval '2 seconds')
    then
        perform pipelines.plan_dispatch(clock_timestamp());
    end if;
    delete from pipelines.firing f where f.id in (
        select o.id from pipelines.firing o where o.finished_at < now() - interval '30 days'
        order by o.finished_at limit 20 * most);
    delete from pipelines.trigger_firing f where f.id in (
        select o.id from pipelines.trigger_firing o where o.at < now() - interval '30 days' order by o.at limit 20 * most);
    delete from pipelines.run r where r.id in (
        select o.id from pipelines.run o where o.forgotten_at < now() order by o.forgotten_at limit most);
    with taken as (
        delete from pipelines.ended returning what, status, count
    )
    insert into pipelines.ended (what, status, count)
    select what, status, sum(count) from taken group by what, status;
end
$$;
