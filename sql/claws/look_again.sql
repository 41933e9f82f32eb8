-- Has the container of a claw looked at again in a while, instead of when that was planned before.
create or replace function claws.look_again(claw uuid, after interval) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
begin
    update claws.claw x set look_at = clock_timestamp() + look_again.after where x.id = claw returning x.* into c;
    perform jobs.enqueue('claw-provision', jsonb_build_object('look', c.id, 'instance', c.instance, 'at', c.look_at),
        run_at => c.look_at);
end
$$;
