-- A job that gave up leaves a claw that failed, with the reason; one that somebody cancelled is done by another.
create or replace function claws.job_ended(job uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    ended jobs.job;
begin
    select x.* into c from claws.claw x where x.job_id = job_ended.job for update skip locked;
    select j.* into ended from jobs.job j where j.id = job_ended.job;
    if c.id is null or ended.status not in ('dead', 'cancelled') then
        return;
    elsif c.desired = 'running' and c.status in ('requested', 'provisioning') and ended.status = 'dead' then
        perform claws.give_up(c.id, coalesce(ended.error, 'its workers were lost'), null);
    else
        -- It stays wanted, and the next look does it.
        update claws.claw x set job_id = null where x.id = c.id;
    end if;
end
$$;
