-- Archives a pipeline of an account: nothing starts it any more, and its triggers are deleted. Answers whether there is one. Refuses unfinished runs by
-- the constraint runs_unfinished, unless they are to be cancelled.
create or replace function pipelines.archive(account uuid, pipeline uuid, cancel boolean) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    unfinished uuid;
begin
    perform from pipelines.pipeline p where p.id = archive.pipeline and p.owner_id = account;
    if not found then
        return false;
    end if;
    if archive.cancel then
        -- Before the pipeline is locked, which whoever drives a run may wait for.
        for unfinished in
            select r.id from pipelines.run r where r.account_id = account and r.pipeline_id = archive.pipeline
            and r.finished_at is null order by r.id
        loop
            perform pipelines.lock_run(unfinished);
            perform pipelines.stop_run(unfinished,
                '{"code": "cancelled", "detail": "The pipeline was archived."}', false);
        end loop;
    end if;
    perform from pipelines.pipeline p where p.id = archive.pipeline and p.owner_id = account for update;
    if exists (select from pipelines.run r where r.account_id = account and r.pipeline_id = archive.pipeline
        and r.finished_at is null and r.cancels is null) then
        perform identity.refuse('runs_unfinished');
    end if;
    perform pipelines.delete_trigger(account, t.id) from pipelines.trigger t where t.pipeline_id = archive.pipeline;
    update pipelines.pipeline p set archived_at = coalesce(p.archived_at, now()) where p.id = archive.pipeline;
    return true;
end
$$;
grant execute on function pipelines.archive to gather_pipelines;
