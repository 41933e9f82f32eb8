-- Has what is due at a time dispatched then: one job for each quarter of a second, however many schedules there are. A
-- dispatch of this moment may have looked already, so that one gets a job of its own.
create or replace function pipelines.plan_dispatch(at timestamptz) returns void
language plpgsql
as $$
declare
    quarter timestamptz := to_timestamp(ceil(extract(epoch from plan_dispatch.at) * 4) / 4);
begin
    perform jobs.enqueue('schedule-dispatch', '{}', run_at => quarter, priority => -10,
        key => case when quarter > clock_timestamp() + interval '1 second' then 'at:' || extract(epoch from quarter) end);
end
$$;
