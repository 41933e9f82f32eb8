-- Notes what a webhook has made of a delivery, once, and starts its run in the same statement if it counts. Answers the
-- run; null if it was not to start one. Refuses as `pipelines.start` does, and then nothing is noted.
--   delivery  by what it is known if it comes again; null: each counts
--   status    `started`, `filtered` or `failed`, with the reason
create or replace function pipelines.take_delivery(
    trigger uuid, delivery text, status text, reason text, input jsonb
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t pipelines.trigger;
    firing uuid;
    started uuid;
begin
    select o.* into t from pipelines.trigger o where o.id = take_delivery.trigger;
    insert into pipelines.trigger_firing as f (trigger_id, delivery, status, reason)
    values (t.id, take_delivery.delivery, take_delivery.status, left(take_delivery.reason, 300))
    on conflict on constraint trigger_firing_delivery do nothing returning f.id into firing;
    if firing is null then
        return (select f.run_id from pipelines.trigger_firing f
            where f.trigger_id = t.id and f.delivery = take_delivery.delivery);
    elsif take_delivery.status = 'started' then
        started := (pipelines.start(t.pipeline_id, t.owner_id, null, take_delivery.input, null, 0, null, null, 'webhook')
            ->> 'run')::uuid;
        update pipelines.trigger_firing f set run_id = started where f.id = firing;
    end if;
    return started;
end
$$;
grant execute on function pipelines.take_delivery to gather_pipelines;
