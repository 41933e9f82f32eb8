-- Locks those of some schedules that nobody else holds, then their owners and their pipelines, each in one order, so that
-- dispatchers that do many at a time never wait for one another in a circle. Answers the schedules.
create or replace function pipelines.hold_schedules(schedules uuid[]) returns uuid[]
language plpgsql
as $$
declare
    held uuid[];
begin
    held := array(select o.id from pipelines.schedule o where o.id = any (schedules) order by o.id for update skip locked);
    perform from identity.account a
    where a.id in (select s.owner_id from pipelines.schedule s where s.id = any (held)) order by a.id for no key update;
    perform from pipelines.pipeline p
    where p.id in (select s.pipeline_id from pipelines.schedule s where s.id = any (held)) order by p.id for update;
    return held;
end
$$;
