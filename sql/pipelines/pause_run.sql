-- Pauses a run of an account: nothing more is begun or sent, and what is being sent is recorded first. Answers `paused`,
-- or `finished` if it has ended; null if there is no such run.
create or replace function pipelines.pause_run(account uuid, run uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
begin
    select o.* into r from pipelines.run o where o.id = pause_run.run and o.account_id = account for update;
    if not found then
        return null;
    elsif r.finished_at is not null or r.cancels is not null then
        return 'finished';
    elsif r.is_paused then
        return 'paused';
    end if;
    update pipelines.run o set is_paused = true, news = o.news + 1 where o.id = r.id;
    if r.status in ('queued', 'waiting') then
        update pipelines.run o set status = 'paused', job_id = null, wake_at = null where o.id = r.id;
        perform pipelines.drop_job(r.job_id);
        perform pipelines.tell('run.paused', r.pipeline_id, r.id, jsonb_build_object('run', r.id, 'status', 'paused'));
    end if;
    return 'paused';
end
$$;
grant execute on function pipelines.pause_run to gather_pipelines;
