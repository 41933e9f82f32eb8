-- Lets a paused run of an account go on, with another budget where one is named. Answers `resumed`, or `finished` if it has ended; null if there is no such run.
create or replace function pipelines.resume_run(account uuid, run uuid, budget jsonb) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
begin
    select o.* into r from pipelines.run o where o.id = resume_run.run and o.account_id = account for update;
    if not found then
        return null;
    elsif r.finished_at is not null then
        return 'finished';
    end if;
    update pipelines.run o set budget = o.budget || resume_run.budget where o.id = r.id and resume_run.budget is not null;
    if r.is_paused then
        update pipelines.run o set is_paused = false, news = o.news + 1 where o.id = r.id;
        if r.status = 'paused' then
            update pipelines.run o set status = case when o.started_at is null then 'queued' else 'waiting' end
            where o.id = r.id;
            perform pipelines.drive(r.id, null);
        end if;
    end if;
    return 'resumed';
end
$$;
grant execute on function pipelines.resume_run to gather_pipelines;
