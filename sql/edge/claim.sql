-- The leased topics that a gateway is to push, at most so many more than it has: its own, and those of gateways that are
-- gone. Leases that have ended are forgotten.
create or replace function edge.claim(reader uuid, most integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    claimed jsonb;
begin
    delete from edge.topic t where t.lease_ends_at <= now();
    with free as (
        select t.topic from edge.topic t
        where t.pusher is null or t.pusher = reader or t.pusher_ends_at <= now()
        order by t.pusher is not distinct from reader desc, t.topic
        limit most for update skip locked
    ), taken as (
        update edge.topic t set pusher = reader, pusher_ends_at = now() + interval '5 seconds'
        from free f where t.topic = f.topic
        returning t.topic, t.callback, t.position
    )
    select coalesce(jsonb_agg(jsonb_build_object('topic', t.topic, 'callback', t.callback, 'position', t.position)), '[]')
    into claimed from taken t;
    return claimed;
end
$$;
grant execute on function edge.claim(uuid, integer) to gather_realtime;
