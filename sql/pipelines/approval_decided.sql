-- Tells a step how the approval that it waits for has ended; whoever drives its run ends it. The inbox calls it in the
-- transaction of the decision. Whoever holds the run may wait for the approval, so that a job waits for the run instead,
-- with `may_wait`.
create or replace function pipelines.approval_decided(approval uuid, may_wait boolean default false) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    a inbox.approval;
    of_run uuid;
begin
    select i.* into a from inbox.approval i where i.id = approval_decided.approval;
    select s.run_id into of_run from pipelines.step s where s.approval_id = a.id;
    if may_wait then
        perform from pipelines.run r where r.id = of_run for update;
    else
        perform from pipelines.run r where r.id = of_run for update skip locked;
        if not found then
            perform jobs.add('pipeline-run', jsonb_build_object('decided', a.id), null, null, null, null, 0, null, 0)
            where of_run is not null;
            return;
        end if;
    end if;
    update pipelines.step s
    set answer = case
            when a.state in ('approved', 'denied') or s.input ->> 'on_timeout' = 'deny' then (
                select jsonb_build_object('decision', case when a.state = 'approved' then 'approved' else 'denied' end,
                    'by', coalesce(jsonb_agg(d.account_id order by d.created_at), '[]'),
                    'form', (select f.form from inbox.decision f where f.approval_id = a.id
                        order by f.created_at desc limit 1))
                from inbox.decision d where d.approval_id = a.id)
            else '{"fault": {"code": "approval-expired", "detail": "Nobody decided in time."}}' end
    where s.approval_id = a.id and s.status = 'waiting' and s.answer is null;
    if found then
        perform pipelines.wake(of_run);
    end if;
end
$$;
grant execute on function pipelines.approval_decided to gather_pipeline_run;
